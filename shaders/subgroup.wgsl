// One lane speaks for all lanes of a subgroup.
//
// What lanes do together they must do at the same time: after branches that lanes took differently, some compilers let them
// go on apart, and then every part has a sum and a first lane of its own, and not the same parts for each. A
// subgroupBarrier() before the first collective operation brings them together again.

fn is_first_lane() -> bool {
    return subgroupExclusiveAdd(1u) == 0u;
}
