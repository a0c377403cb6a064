"""Results that arrive some frames later."""

import time

import numpy as np

from engine.gpu.buffers import buffer_from
from engine.gpu.readback import ReadbackRing


def test_results_arrive_in_order_without_being_waited_for(device):
    ring = ReadbackRing(device)
    source = buffer_from(device, "numbers", np.zeros(4, np.uint32))
    arrived, sent, deadline = [], 0, time.monotonic() + 30.0
    while len(arrived) < 20 and time.monotonic() < deadline:
        if sent < 20 and not ring.is_full:
            device.wgpu_device.queue.write_buffer(source, 0, np.full(4, sent, np.uint32))
            encoder = device.wgpu_device.create_command_encoder()
            ring.copy(encoder, [(source, 12)], tag=sent)
            device.wgpu_device.queue.submit([encoder.finish()])
            ring.sent()
            sent += 1
        arrived += ring.collect()
    assert [tag for tag, _ in arrived] == list(range(20))
    for tag, (data,) in arrived:
        assert np.frombuffer(data, np.uint32).tolist() == [tag] * 3
    assert ring.collect() == []
