"""What the engine is compared with, in the same frame: other ways to fill the visibility buffer.

triangles_hardware  all source triangles of all instances by the graphics pipeline, with a depth buffer
triangles_software  all source clusters of all instances by the engine's software rasterisers
discrete_lods       one of a few whole-mesh levels for each instance in view, picked by its projected error
clusters_frustum    every cluster of every level of each instance in view tested by a thread of its own

Each is a CullRasterize that makes other passes; what shades the image stays the same, and so do the statistics.
Nothing of this is imported, compiled or uploaded unless a baseline is asked for.
"""
