//! Mistakes in the backends.

use super::Mutant;

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "clear the log before its steps are done",
        file: "crates/sysv/src/user/section.rs",
        find: "        for step in log.steps() {
            self.take_step(step)?;
        }
        let (at, bytes) = Log::cleared();
        Ok(file::pwrite(self.fd, &bytes, at)?)",
        replace: "        let (at, bytes) = Log::cleared();
        file::pwrite(self.fd, &bytes, at)?;
        for step in log.steps() {
            self.take_step(step)?;
        }
        Ok(())",
        target: "killed",
        test: "create_private",
    },
    // Only a kill of the recovery itself finds this one.
    Mutant {
        name: "recovery clears the log before it does the steps",
        file: "crates/sysv/src/user/section.rs",
        find: "                            section.settle(&log)?;",
        replace: "                            let (at, bytes) = Log::cleared();
                            file::pwrite(fd, &bytes, at)?;
                            section.settle(&log)?;",
        target: "killed",
        test: "create_in_a_chain",
    },
    Mutant {
        name: "create makes its file without publishing the undo",
        file: "crates/sysv/src/user/get.rs",
        find: "        self.begin(&undo(id))?;
        let mut made = ",
        replace: "        let mut made = ",
        target: "killed",
        test: "create_private",
    },
    Mutant {
        name: "destroy unlinks before it publishes",
        file: "crates/sysv/src/user/reap.rs",
        find: "        let index = record.index();
        let unchain = self.unchain(record)?;",
        replace: "        let index = record.index();
        let unchain = self.unchain(record)?;
        let _ = file::unlink(&self.namespace.data_path(record.id));",
        target: "killed",
        test: "remove_a_segment",
    },
    Mutant {
        name: "the registry's lock is not taken",
        file: "crates/sysv/src/user/section.rs",
        find: "            if file::try_lock_file(fd)? {",
        replace: "            if fd >= 0 {",
        target: "attacks",
        test: "processes::creators_at_once",
    },
    Mutant {
        name: "attach takes no slot",
        file: "crates/sysv/src/user/attach.rs",
        find: "pins::take(&fd, writable, record.times.slot_hint, record.times.slot_top)?",
        replace: "(0_u32, record.times.slot_top.max(1))",
        target: "user",
        test: "a_segment_lives_its_life",
    },
    Mutant {
        name: "a fork's child takes no slot",
        file: "crates/sysv/src/user/process.rs",
        find: "        fork::register_attachments();",
        replace: "        let _ = fork::register_attachments;",
        target: "attacks",
        test: "processes::a_child_that_becomes_another_user",
    },
    Mutant {
        name: "the sequence of ids is not raised",
        file: "crates/sysv/src/user/get.rs",
        find: "            self.header.sequence += 1;",
        replace: "",
        target: "user",
        test: "ids_go_round_as_the_kernels_do",
    },
    Mutant {
        name: "a log's sum is not checked",
        file: "crates/sysv/src/user/layout.rs",
        find: "if get_u64(header, LOG_AT + 8) != checksum(salt, &header[LOG_ENTRIES_AT..end]) ^ u64::from(count) {",
        replace: "if false {",
        target: "--lib",
        test: "user::layout::tests::a_log_comes_back_and_fits",
    },
    Mutant {
        name: "a kept descriptor is not looked at",
        file: "crates/sysv/src/user/process.rs",
        find: "        (self.is(&meta) && meta.link_count > 0).then_some(fd)",
        replace: "        (meta.size_bytes < u64::MAX).then_some(fd)",
        target: "attacks",
        test: "processes::numbers_taken_by_the_program_stay_the_programs",
    },
    Mutant {
        name: "a data file is taken by its name",
        file: "crates/sysv/src/user/data.rs",
        find: "    if is_of(namespace, record, &meta) {",
        replace: "    if is_of(namespace, record, &meta) || meta.is_file() {",
        target: "attacks",
        test: "data::no_change_of_mode_or_owner_goes_through_a_link",
    },
    Mutant {
        name: "a mapping is taken by its file's inode",
        file: "crates/sysv/src/user/attach.rs",
        find: "vma.device == device ||",
        replace: "device != 0 ||",
        target: "attacks",
        test: "processes::namesakes_on_two_filesystems",
    },
    Mutant {
        name: "a record's numbers are believed",
        file: "crates/sysv/src/user/layout.rs",
        find: "        if in_range || state == State::Free {",
        replace: "        if in_range || get_u64(bytes, 88) != 0 {",
        target: "attacks",
        test: "damage::forged_records_of_what_is_attached",
    },
    Mutant {
        name: "a change of one's own gives no rights",
        file: "crates/sysv/src/user/section.rs",
        find: "                        section.finishes_anothers = false;",
        replace: "",
        target: "attacks",
        test: "members::the_file_follows_its_segment",
    },
    Mutant {
        name: "a found log opens files",
        file: "crates/sysv/src/user/section.rs",
        find: "                            finishes_anothers: true,",
        replace: "                            finishes_anothers: false,",
        target: "attacks",
        test: "members::a_forged_change_opens_no_file",
    },
    Mutant {
        name: "a record follows no file",
        file: "crates/sysv/src/user/section.rs",
        find: "                if data::is_owners(self.namespace, &record)? {",
        replace: "                if true {",
        target: "killed",
        test: "give_away_in_a_shared_namespace",
    },
    Mutant {
        name: "a group's directory need not be sticky",
        file: "crates/sysv/src/user/namespace.rs",
        find: "if (group_writes || others_write) && !sticky {",
        replace: "if others_write && !sticky {",
        target: "attacks",
        test: "directory::a_directory_that_others_write_must_be_sticky",
    },
    Mutant {
        name: "another's default directory is shared",
        file: "crates/sysv/src/user/namespace.rs",
        find: "absolute != default_directory()",
        replace: "!absolute.as_os_str().is_empty() || default_directory().is_relative()",
        target: "attacks",
        test: "directory::the_default_directory_is_never_a_groups",
    },
    Mutant {
        name: "permissions are not checked",
        file: "crates/sysv/src/user/permission.rs",
        find: "    if wanted & !granted == 0 || ",
        replace: "    if wanted & !granted < 8 || ",
        target: "attacks",
        test: "members::modes_hold_between_users",
    },
];
