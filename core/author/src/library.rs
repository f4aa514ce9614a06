//! The modules that come with the program.

/// Every module of the repository's `scripts/lib`, by its path in a script set.
pub const LIBRARY: [(&str, &str); 5] = [
    (
        "lib/chunk.lua",
        include_str!("../../../scripts/lib/chunk.lua"),
    ),
    ("lib/era.lua", include_str!("../../../scripts/lib/era.lua")),
    (
        "lib/join.lua",
        include_str!("../../../scripts/lib/join.lua"),
    ),
    (
        "lib/options.lua",
        include_str!("../../../scripts/lib/options.lua"),
    ),
    (
        "lib/retry.lua",
        include_str!("../../../scripts/lib/retry.lua"),
    ),
];
