"""The instances of a scene on the GPU: their table, that of the last frame, and the tree that culling walks."""

import numpy as np
import wgpu

from engine import layout
from engine.gpu.buffers import buffer_from, create_buffer, upload
from engine.gpu.device import Device
from engine.instance_tree import morton_order, outward_boxes, tree_depth, tree_nodes
from engine.scene import Scene


class InstanceBuffers:
    """Follows the changes of a Scene; `tables` are found by shader variable name.

    Attributes: count, instances in the tree; depth, its levels; moved, whether the last `update` found instances
    changed, so that previous_instances differ from instances.
    """

    def __init__(self, device: Device, scene: Scene):
        self._device = device
        self._scene = scene
        self._revision = scene.revision
        self.moved = False
        self.tables: dict[str, wgpu.GPUBuffer] = {}
        records = (
            scene.instances if len(scene.instances) else np.zeros(1, layout.INSTANCE)
        )  # an empty one cannot be bound
        instances = buffer_from(device, "instances", records)
        self.tables["instances"] = self.tables["previous_instances"] = instances
        self._plant()

    def update(self) -> bool:
        """Upload what changed since the last call; return whether a buffer was replaced by another one."""
        self.moved = self._revision != self._scene.revision
        if not self.moved:
            return False
        before = dict(self.tables)
        self._keep_previous()
        moves = self._scene.moved_since(self._revision)
        self._revision = self._scene.revision
        records = self._scene.instances
        if moves is None:
            upload(self._device, self.tables["instances"], records)
            self._plant()
        else:
            upload(self._device, self.tables["instances"], records[moves], moves.start * records.itemsize)
            slots = np.arange(moves.start, moves.stop)[records["mesh"][moves] < len(self._scene.meshes)]
            low, high = outward_boxes(*self._scene.instance_boxes(slots))
            place = np.searchsorted(self._sorted_slots, slots)
            self._low[self._place[place]], self._high[self._place[place]] = low, high
            upload(self._device, self.tables["instance_nodes"], tree_nodes(self._low, self._high))
        return any(before[name] is not buffer for name, buffer in self.tables.items())

    def tree(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the instance tree that is uploaded: layout.NODE records, and the slots (k,) int64 in its order."""
        return tree_nodes(self._low, self._high), self._sorted_slots[np.argsort(self._place)]

    def _keep_previous(self) -> None:
        """Copy the table to previous_instances; both get new buffers where the table has outgrown its own."""
        old = self.tables["instances"]
        size = max(old.size, self._scene.instances.nbytes)
        previous = self.tables["previous_instances"]
        if previous is old or previous.size < size:
            previous = self.tables["previous_instances"] = create_buffer(self._device, "previous instances", size)
        gpu = self._device.wgpu_device
        encoder = gpu.create_command_encoder(label="previous instances")
        encoder.copy_buffer_to_buffer(old, 0, previous, 0, old.size)
        gpu.queue.submit([encoder.finish()])
        if old.size < size:
            self.tables["instances"] = create_buffer(self._device, "instances", size)

    def _plant(self) -> None:
        """Make the tree anew."""
        slots = self._scene.live_slots
        low, high = self._scene.instance_boxes(slots)
        order = morton_order(low, high)
        self._low, self._high = (values[order] for values in outward_boxes(low, high))
        self._sorted_slots, self._place = slots, np.argsort(order)
        self.depth = tree_depth(len(slots))
        self.count = len(slots)
        for name, data in (
            ("instance_nodes", tree_nodes(self._low, self._high)),
            ("instance_order", slots[order].astype(np.uint32)),
        ):
            old = self.tables.get(name)
            if old is None or old.size < data.nbytes:
                self.tables[name] = buffer_from(self._device, name.replace("_", " "), data)
            else:
                upload(self._device, old, data)
