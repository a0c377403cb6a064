"""The bytes of a page on disk: one frame of zstandard around the streams of page_codec.py."""

import numpy as np
import zstandard

from engine.page_codec import decode_page

_LARGEST = 1 << 20  # bytes of streams; the words of a page are at most PAGE_WORDS


def decompress_page(stored: np.ndarray, word_count: int) -> np.ndarray:
    """Return the words (w,) uint32 of a page, read-only; raise ValueError where the bytes cannot be a page."""
    try:
        if not 0 <= zstandard.frame_content_size(stored.data) <= _LARGEST:
            raise ValueError("has a wrong size")
        content = zstandard.ZstdDecompressor().decompress(stored.data)
    except zstandard.ZstdError as error:
        raise ValueError(f"is damaged ({error})") from None
    return decode_page(np.frombuffer(content, np.uint8), word_count)
