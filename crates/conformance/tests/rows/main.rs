//! Every row once, run on both backends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attach;
mod control;
mod detach;
mod get;
mod huge;
mod ids;
mod kit;
mod limits;
mod place;
mod process;
mod rights;
mod times;

/// Makes of each listed function one test for the kernel and one for the user backend.
macro_rules! rows {
    ($($file:ident: $($row:ident)*;)*) => {
        /// The rows that have a test.
        const TESTED: &[&str] = &[$($(stringify!($row)),*),*];
        rows!(@column kernel Kernel $($($file $row)*)*);
        rows!(@column user User $($($file $row)*)*);
    };
    (@column $module:ident $column:ident $($file:ident $row:ident)*) => {
        mod $module {
            $(
                #[test]
                fn $row() {
                    crate::kit::on(coseg_conformance::lab::Column::$column, crate::$file::$row);
                }
            )*
        }
    };
}

rows! {
    get:
        row_001_private_key_always_creates
        row_002_missing_key
        row_003_exclusive_first
        row_004_exclusive_alone_is_ignored
        row_005_too_large_for_what_is_there
        row_006_smaller_is_fine
        row_007_bits_asked_for
        row_008_no_bits_asked_for
        row_009_own_class_even_if_narrower
        row_010_size_zero
        row_011_shmmax
        row_012_pages_overflow
        row_013_shmall
        row_014_shmmni
        row_015_order_of_checks
        row_016_half_the_address_range
        row_018_noreserve
        row_020_stored_mode
        row_021_unknown_flags
        row_026_a_new_segment
        row_027_all_zero
        row_028_any_key
        row_029_shmmax_lowered_later
        row_030_one_winner
        row_031_resource_limits;
    huge:
        row_022_huge_pages
        row_023_no_huge_page_free
        row_024_huge_size_unknown
        row_025_huge_without_right
        row_114_lock_of_huge_pages;
    ids:
        row_033_layout
        row_034_first_ids
        row_035_index_goes_round
        row_036_sequence
        row_037_stale
        row_038_removed
        row_039_negative
        row_041_ftok;
    place:
        row_042_anywhere
        row_043_exactly_there
        row_044_unaligned
        row_045_rounded
        row_046_at_address_zero
        row_047_remap_rounded_to_zero
        row_048_remap_nowhere
        row_049_occupied
        row_050_remap
        row_051_wraps
        row_052_beyond_the_task
        row_053_no_room
        row_054_locked_future
        row_063_whole_pages
        row_088_back_to_back
        row_092_break;
    attach:
        row_055_default_needs_both
        row_056_read_only
        row_057_executable
        row_059_privilege
        row_061_checked_once
        row_062_unknown_flags
        row_066_removed_but_attached
        row_067_by_id_alone
        row_068_order_of_checks
        row_069_no_descriptor
        row_071_forced_write;
    detach:
        row_072_not_an_attach
        row_074_gone
        row_075_which_mapping
        row_076_unmapped_whole
        row_077_unmapped_at_an_end
        row_079_origin_stays
        row_081_no_access
        row_082_grown
        row_083_shrunk
        row_084_moved
        row_087_mapped_over
        row_089_no_permission_needed
        row_090_advice
        row_091_sync;
    control:
        row_093_unknown_command
        row_094_stat
        row_095_structure
        row_096_mode
        row_097_set
        row_098_set_order
        row_102_remove_unattached
        row_103_remove_attached
        row_104_remove_again
        row_105_use_while_removed
        row_106_last_detach
        row_108_ipc_info
        row_109_shm_info
        row_110_shm_stat
        row_111_shm_stat_any;
    rights:
        row_099_who_may_change
        row_100_creator_after_chown
        row_101_class;
    times:
        row_064_attach
        row_065_failed_attach
        row_073_detach
        row_107_control
        row_118_fork
        row_120_death
        row_121_exec
        row_126_whole_seconds;
    process:
        row_118_counted
        row_119_shared_memory
        row_120_counted
        row_121_counted
        row_122_child_detaches
        row_123_new_credentials
        row_124_persistence;
    limits:
        row_127_defaults
        row_130_forced
        row_131_never_attached;
}

#[test]
fn every_row_that_can_be_met_is_tested() {
    use coseg_conformance::rows::{ROWS, Reach};
    let tested: Vec<u16> = TESTED.iter().map(|name| name[4..7].parse().unwrap()).collect();
    for row in ROWS.iter().filter(|row| matches!(row.reach, Reach::Same | Reach::Trick)) {
        assert!(tested.contains(&row.number), "row {} ({}) has no test", row.number, row.title);
    }
}
