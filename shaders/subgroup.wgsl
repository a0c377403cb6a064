// One lane speaks for all active lanes of a subgroup.

fn is_first_lane() -> bool {
    return subgroupExclusiveAdd(1u) == 0u;
}
