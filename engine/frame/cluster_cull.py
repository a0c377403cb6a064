"""Test the members of the candidate groups; what remains is drawn."""

from engine.frame.context import IndirectPass


class ClusterCull(IndirectPass):
    """Pass cluster_cull: sized by those that pushed the groups."""

    NAME = "cluster_cull"
    ARGUMENTS = "cluster_arguments"
