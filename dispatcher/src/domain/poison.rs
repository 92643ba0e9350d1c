//! What the deaths of a redelivered turn mean.
//!
//! Whether a first run ever began is unknowable, so only runs that began after a redelivery count,
//! and of those only the ones whose process could not take its mark back.

/// Deaths alone in a process that prove a turn to be the cause.
const SOLO_MAX: u32 = 2;

/// How a redelivered turn may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Danger {
    /// Beside others.
    None,
    /// Alone in its process, so that another death shows who it was.
    Solo,
    /// Not at all: give it up.
    Park,
}

/// `all` runs have ended with their process, `solo` of them alone in it. A death beside others accuses them all: the next run is a solo. A solo death may still be chance (a
/// kill, a power loss); the second one parks the turn.
pub fn judge(all: u32, solo: u32) -> Danger {
    if solo >= SOLO_MAX {
        Danger::Park
    } else if all > 0 {
        Danger::Solo
    } else {
        Danger::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_death_means_solo_and_two_solo_deaths_mean_parking() {
        let table = [
            ((0, 0), Danger::None),
            ((1, 0), Danger::Solo),
            ((7, 0), Danger::Solo),
            ((2, 1), Danger::Solo),
            ((2, 2), Danger::Park),
            ((9, 3), Danger::Park),
        ];
        for ((all, solo), expected) in table {
            assert_eq!(judge(all, solo), expected, "{all} deaths, {solo} of them solo");
        }
    }
}
