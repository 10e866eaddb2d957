//! Mistakes in regions.

use super::Mutant;

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "recovery of a region clears before it applies",
        file: "crates/coseg/src/log.rs",
        find: "            // A number that is no value's was not written by us.
",
        replace: "            self.word().store(state.cleared().0, Ordering::Release);
",
        target: "killed",
        test: "trials::recover",
    },
    Mutant {
        name: "a transaction is applied and not committed",
        file: "crates/coseg/src/log.rs",
        find: "        self.word().store(state.0, Ordering::Release);
        self.apply(state, set);",
        replace: "        self.apply(state, set);",
        target: "killed",
        test: "trials::commit",
    },
    Mutant {
        name: "a lock is inherited and nothing settled",
        file: "crates/coseg/src/base.rs",
        find: "if number == self.own_lock { self.log().settle(&self.layout) } else { Settled::Nothing };",
        replace: "if number > self.own_lock { self.log().settle(&self.layout) } else { Settled::Nothing };",
        target: "killed",
        test: "races::the_next_change_comes_after_what_the_dead_committed",
    },
    Mutant {
        name: "a version counts before its value is there",
        file: "crates/coseg/src/cell.rs",
        find: "        self.item.write_next(memory, version, &value);
        self.base.log().commit_one(Committed::new(self.item, version.wrapping_add(1)));",
        replace: "        self.base.log().commit_one(Committed::new(self.item, version.wrapping_add(1)));
        self.item.write_next(memory, version, &value);",
        target: "killed",
        test: "trials::update_a_cell",
    },
    Mutant {
        name: "a value is written over the one that is read",
        file: "crates/coseg/src/item.rs",
        find: "        self.slot_at(version.wrapping_add(1))",
        replace: "        self.slot_at(version)",
        target: "killed",
        test: "trials::update_a_row",
    },
    Mutant {
        name: "one who joins has his predecessor's generation",
        file: "crates/coseg/src/participants.rs",
        find: "let next = next_generation(generation.load(Ordering::Relaxed), slot, named);",
        replace: "let next = generation.load(Ordering::Relaxed);",
        target: "killed",
        test: "trials::join_in_place_of_the_dead",
    },
    Mutant {
        name: "an owner is whoever has his slot now",
        file: "crates/coseg/src/membership.rs",
        find: "holder == Identity::NOBODY || participants.owner(slot) != owner || self.is_gone(slot, holder)",
        replace: "holder == Identity::NOBODY || self.is_gone(slot, holder)",
        target: "killed",
        test: "trials::lock_of_the_dead",
    },
    Mutant {
        name: "nobody is ever dead",
        file: "crates/coseg/src/membership.rs",
        find: "        holder == Identity::NOBODY || participants.owner(slot) != owner || self.is_gone(slot, holder)",
        replace: "        holder == Identity::NOBODY && participants.owner(slot) != owner && self.is_gone(slot, holder)",
        target: "killed",
        test: "races::a_writer_leaves_the_reads_of_a_new_holder_alone",
    },
    Mutant {
        name: "a living maker is robbed",
        file: "crates/coseg/src/header.rs",
        find: "(_, Some(false)) | (Life::Alive | Life::Unknown, None) | (Life::Alive, Some(true)) => {
            return Ok(false);
        }
        (Life::Dead, None | Some(true)) | (Life::Unknown, Some(true)) => {}",
        replace: "_ => {}",
        target: "killed",
        test: "races::a_living_maker_is_not_robbed",
    },
    Mutant {
        name: "a region is published before it is filled",
        file: "crates/coseg/src/open.rs",
        find: "            let building = Building(&base.memory);
            if let Some(initial) = initial.take() {
                C::fill(Region::<C>::new(Arc::clone(&base)).parts(), initial());
            }
            building.publish();",
        replace: "            Building(&base.memory).publish();
            if let Some(initial) = initial.take() {
                C::fill(Region::<C>::new(Arc::clone(&base)).parts(), initial());
            }",
        target: "killed",
        test: "making::make",
    },
    Mutant {
        name: "a dead reader keeps the writers out",
        file: "crates/coseg/src/rwlock.rs",
        find: "if holder == Identity::NOBODY || base.is_dead(participants.owner(slot)) {",
        replace: "if holder == Identity::NOBODY {",
        target: "killed",
        test: "races::a_writer_leaves_the_reads_of_a_new_holder_alone",
    },
    Mutant {
        name: "one who joins keeps the reads of the dead",
        file: "crates/coseg/src/membership.rs",
        find: "            self.reset_reader(slot);
",
        replace: "            let _ = Base::reset_reader;
",
        target: "killed",
        test: "races::a_writer_leaves_the_reads_of_a_new_holder_alone",
    },
    Mutant {
        name: "what was rolled back is published",
        file: "crates/coseg/src/region.rs",
        find: "        let result = body(&mut transaction)?;
        transaction.commit()?;
        Ok(result)",
        replace: "        let result = body(&mut transaction);
        transaction.commit()?;
        result",
        target: "regions",
        test: "values::an_error_or_a_panic_changes_nothing",
    },
    Mutant {
        name: "a snapshot overlooks what is not yet applied",
        file: "crates/coseg/src/snapshot.rs",
        find: "version_in(self.overlay.iter(), item.number).unwrap_or_else",
        replace: "version_in([].iter(), item.number).unwrap_or_else",
        target: "killed",
        test: "trials::recover",
    },
    Mutant {
        name: "a snapshot spans several commits",
        file: "crates/coseg/src/snapshot.rs",
        find: "|| self.log.state().commits() != self.state.commits()",
        replace: "|| self.log.state().commits() < self.state.commits()",
        target: "regions",
        test: "values::snapshots_never_see_half_a_transaction",
    },
    Mutant {
        name: "no time is ever over",
        file: "crates/coseg/src/lock.rs",
        find: "(left > 0).then(",
        replace: "(left < u64::MAX).then(",
        target: "killed",
        test: "trials::lock_in_vain",
    },
    Mutant {
        name: "a lock of the dead is said to be clean",
        file: "crates/coseg/src/base.rs",
        find: "Some(Taken::Clean) => Ok(Acquired::Clean),
            Some(Taken::From(dead)) => Ok(Acquired::Recovered(Box::new(self.recover(number, dead)))),",
        replace: "Some(Taken::Clean | Taken::From(_)) => Ok(Acquired::Clean),",
        target: "killed",
        test: "trials::lock",
    },
    Mutant {
        name: "a header's checksum is not looked at",
        file: "crates/coseg/src/header.rs",
        find: "if header_checksum(memory) != recorded {",
        replace: "if header_checksum(memory) == !recorded {",
        target: "refusals",
        test: "a_header_written_over",
    },
    Mutant {
        name: "fields may lie elsewhere",
        file: "crates/coseg/src/schema/difference.rs",
        find: "} else if theirs.offset != ours.offset {",
        replace: "} else if theirs.offset == usize::MAX {",
        target: "refusals",
        test: "a_field_that_lies_elsewhere",
    },
    Mutant {
        name: "the end of a longer value is lost",
        file: "crates/coseg/src/item.rs",
        find: "if written < self.room_bytes {",
        replace: "if written > self.room_bytes {",
        target: "regions",
        test: "opening::a_field_added_at_the_end_opens_old_regions_and_new_ones",
    },
    Mutant {
        name: "a child gives back its parent's lock",
        file: "crates/coseg/src/mutex.rs",
        find: "        if base.is_current(self.me) {
            base.set_holder(self.lock.number, false);",
        replace: "        if self.me != Owner::NOBODY {
            base.set_holder(self.lock.number, false);",
        target: "regions",
        test: "deaths::a_child_of_fork_has_its_own_place",
    },
    Mutant {
        name: "a living participant's slot is taken",
        file: "crates/coseg/src/membership.rs",
        find: "holder != Identity::NOBODY && self.is_gone(slot, holder)
                } else",
        replace: "holder != Identity::NOBODY
                } else",
        target: "regions",
        test: "opening::slots_are_used_again_and_run_out",
    },
    Mutant {
        name: "one version too many is believed",
        file: "crates/coseg/src/item.rs",
        find: "        ahead <= self.slot_mask",
        replace: "        ahead <= self.slot_mask + 1",
        target: "--model",
        test: "models::a_value_is_read_whole",
    },
    Mutant {
        name: "no fence before the second look",
        file: "crates/coseg/src/item.rs",
        find: "        fence(Ordering::Acquire);
        let now = ",
        replace: "        let now = ",
        target: "--model",
        test: "models::a_value_of_two_writers_is_read_whole",
    },
    Mutant {
        name: "who will sleep does not say so",
        file: "crates/coseg/src/bell.rs",
        find: "self.0.fetch_or(SOMEBODY, Ordering::SeqCst) | SOMEBODY",
        replace: "self.0.load(Ordering::SeqCst)",
        target: "--model",
        test: "models::two_exclude_each_other_and_none_sleeps_for_ever",
    },
    Mutant {
        name: "a bell rings for nobody",
        file: "crates/coseg/src/bell.rs",
        find: "                    return os::wake(self.0, count);",
        replace: "                    let _ = count;
                    return;",
        target: "--model",
        test: "models::two_exclude_each_other_and_none_sleeps_for_ever",
    },
    Mutant {
        name: "how many to wake is asked before the bell is cleared",
        file: "crates/coseg/src/bell.rs",
        find: "            self.ring_now(wake);",
        replace: "            let wake = wake();
            self.ring_now(|| wake);",
        target: "--crowd",
        test: "crowds::nobody_sleeps_for_ever_at_a_lock",
    },
    Mutant {
        name: "who inherits does not look whether another has",
        file: "crates/coseg/src/lock.rs",
        find: "            self.owner.compare_exchange(from.0, me.0, Ordering::Acquire, Ordering::Relaxed).is_ok();",
        replace: "            self.owner.swap(me.0, Ordering::Acquire) != me.0 && from != me;",
        target: "--crowd",
        test: "crowds::a_lock_of_the_dead_goes_round",
    },
    Mutant {
        name: "one change is not counted",
        file: "crates/coseg/src/log.rs",
        find: "        let state = State(self.word().load(Ordering::Relaxed));
        self.word().store(state.next(0).0, Ordering::Release);
    }",
        replace: "        let _ = State(self.word().load(Ordering::Relaxed));
    }",
        target: "moments",
        test: "a_change_of_one_value_between_two_reads",
    },
    Mutant {
        name: "a helper does not look again before he applies",
        file: "crates/coseg/src/log.rs",
        find: "        if self.state() != state {
            return;
        }
",
        replace: "",
        target: "--model",
        test: "models::a_helper_applies_only_what_is_committed",
    },
    Mutant {
        name: "no fence before a helper looks again",
        file: "crates/coseg/src/log.rs",
        find: "(0..pending).map(|index| self.entry(index)).collect();
        fence(Ordering::Acquire);",
        replace: "(0..pending).map(|index| self.entry(index)).collect();",
        target: "--model",
        test: "models::a_helper_applies_only_what_is_committed",
    },
    Mutant {
        name: "the turn stays with who had it",
        file: "crates/coseg/src/lock.rs",
        find: "            if turn != 0 {
                self.turn.store(0, Ordering::Relaxed);
            }",
        replace: "",
        target: "--model",
        test: "models::three_exclude_each_other_and_none_sleeps_for_ever",
    },
    Mutant {
        name: "the moves of a map are not looked at",
        file: "crates/coseg/src/map/find.rs",
        find: "Ok(None) if moves.load(Ordering::Relaxed) != moves_before => {}",
        replace: "Ok(None) if moves.load(Ordering::Relaxed) < moves_before => {}",
        target: "--model",
        test: "map::models::a_key_that_moves_is_found",
    },
    Mutant {
        name: "who finds no key does not look at the log",
        file: "crates/coseg/src/map/find.rs",
        find: "if log.state().pending() == 0 {",
        replace: "if log.state().pending() < u64::MAX {",
        target: "--model",
        test: "map::models::what_is_committed_is_seen_before_it_is_applied",
    },
    Mutant {
        name: "an entry that was removed does not say so",
        file: "crates/coseg/src/map/edit.rs",
        find: "memory.word(slot_at + UNTIL).store(GONE, Ordering::Relaxed);",
        replace: "memory.word(slot_at + UNTIL).store(NEVER, Ordering::Relaxed);",
        target: "--model",
        test: "map::models::a_value_is_whole_and_neither_an_old_one_nor_another_keys",
    },
    Mutant {
        name: "a value in transit is left behind",
        file: "crates/coseg/src/log.rs",
        find: ".filter(|map| map.end_transit(self.memory)).count();",
        replace: ".filter(|_| false).count();",
        target: "killed",
        test: "maps::put_again",
    },
    Mutant {
        name: "a value counts as being where it is brought",
        file: "crates/coseg/src/map/transit.rs",
        find: "next | IN_TRANSIT));",
        replace: "next));",
        target: "killed",
        test: "maps::put_again",
    },
    Mutant {
        name: "the way of a value is used again before it has arrived",
        file: "crates/coseg/src/map/transit.rs",
        find: "        // Whoever sees the slot written anew sees also that the last one's value was brought home.
        fence(Ordering::Release);
",
        replace: "",
        target: "--model",
        test: "map::models::a_value_that_comes_by_transit_is_whole",
    },
    Mutant {
        name: "a value is brought home while the last one is read there",
        file: "crates/coseg/src/map/transit.rs",
        find: "        // Whoever sees the slot written anew sees also that it is no longer the one to read.
        fence(Ordering::Release);
",
        replace: "",
        target: "--model",
        test: "map::models::a_value_that_comes_by_transit_is_whole",
    },
    Mutant {
        name: "a map's value is not looked at again",
        file: "crates/coseg/src/map/find.rs",
        find: "        self.check(sight, &found)?;
        Ok(Some((found, value)))",
        replace: "        Ok(Some((found, value)))",
        target: "--model",
        test: "map::models::a_value_is_whole_and_neither_an_old_one_nor_another_keys",
    },
    Mutant {
        name: "an entry that was removed is never given back",
        file: "crates/coseg/src/map/edit.rs",
        find: "        self.set_word(place, next);
        self.set_used(entry, false);",
        replace: "        self.set_word(place, next);",
        target: "killed",
        test: "maps::remove",
    },
    Mutant {
        name: "a key's new value counts before it is there",
        file: "crates/coseg/src/map/transit.rs",
        find: "        self.fill(memory, [found.slot_at, item.transit_at], key, put, true);
        log.commit_one(Committed::new(&item, next | IN_TRANSIT));",
        replace: "        log.commit_one(Committed::new(&item, next | IN_TRANSIT));
        self.fill(memory, [found.slot_at, item.transit_at], key, put, true);",
        target: "killed",
        test: "maps::put_again",
    },
    Mutant {
        name: "what follows in a chain is lost",
        file: "crates/coseg/src/map/edit.rs",
        find: "let next = if self.map.is_place_of_bucket(place) { 0 } else { self.word(self.map.link_at(entry)) };",
        replace: "let next = 0;",
        target: "killed",
        test: "maps::remove_the_first_of_a_chain",
    },
    Mutant {
        name: "a message is seen before its bytes are there",
        file: "crates/coseg/src/channel/sender.rs",
        find: "    M::put(end.places(lane, at, 1), message);
    end.publish(lane, 1);
",
        replace: "    end.publish(lane, 1);
    M::put(end.places(lane, at, 1), message);
",
        target: "killed",
        test: "channels::send",
    },
    Mutant {
        name: "an heir takes what the dead held for received",
        file: "crates/coseg/src/channel/ends.rs",
        find: "            own.give_back(lane.memory(), &lane.geometry);",
        replace: "            own.free(lane.memory());",
        target: "killed",
        test: "channels::receive_what_the_dead_held",
    },
    Mutant {
        name: "what the dead had committed is not settled before it is inherited",
        file: "crates/coseg/src/channel/ends.rs",
        find: "if !has_lock && let Ok(_lock) = lane.base().lock(Deadline::after(Some(BURIAL_PATIENCE))) {",
        replace: "let _ = BURIAL_PATIENCE;
        if !has_lock {",
        target: "killed",
        test: "channels::transaction",
    },
    Mutant {
        name: "a message that comes again does not say so",
        file: "crates/coseg/src/channel/queue/slot.rs",
        find: "|own| State(own.ready().0 | REPEATED)",
        replace: "State::ready",
        target: "killed",
        test: "channels::hold_of_a_queue_dropped",
    },
    Mutant {
        name: "a transaction ends a message before it commits",
        file: "crates/coseg/src/transaction.rs",
        find: "        log.write_entry(self.set.len(), set.entry());
        self.set.push(set);
        Ok(Some(message))",
        replace: "        log.write_entry(self.set.len(), set.entry());
        self.set.push(set);
        slot.free(&self.base().memory);
        Ok(Some(message))",
        target: "killed",
        test: "channels::transaction",
    },
    Mutant {
        name: "one who lost messages does not count them",
        file: "crates/coseg/src/channel/receiver.rs",
        find: "        *self.missed_count = self.missed_count.wrapping_add(count);
",
        replace: "",
        target: "regions",
        test: "broadcasts::one_who_falls_behind_is_treated_as_declared",
    },
    Mutant {
        name: "who has no time inherits nothing",
        file: "crates/coseg/src/lock.rs",
        find: "                return is_dead.then(|| self.inherit(me, owner)).flatten();",
        replace: "                return (is_dead && self.owner() == me).then_some(Taken::Clean);",
        target: "regions",
        test: "deaths::who_has_no_time_inherits_from_the_dead_all_the_same",
    },
    Mutant {
        name: "nobody takes over the turn of a sender who died",
        file: "crates/coseg/src/channel/ends.rs",
        find: "    if let Some(Taken::From(_)) = taken {
        words(lane).settle();
    }
    taken.is_some()",
        replace: "    matches!(taken, Some(Taken::Clean))",
        target: "killed",
        test: "channels::tell_all_in_place_of_the_dead",
    },
    Mutant {
        name: "what a dead sender had sent to all is written over",
        file: "crates/coseg/src/channel/broadcast.rs",
        find: "        if self.stamp(position).load(Ordering::Acquire) == position.wrapping_add(1) {
            self.sent()",
        replace: "        if position == u64::MAX {
            self.sent()",
        target: "killed",
        test: "channels::tell_all",
    },
    Mutant {
        name: "the end of one message is taken for that of another",
        file: "crates/coseg/src/channel/stream.rs",
        find: "        if is_first {
            self.forget(buffer);
",
        replace: "        if is_first {
",
        target: "killed",
        test: "channels::send_a_stream",
    },
    Mutant {
        name: "who comes leaves the ends of the dead",
        file: "crates/coseg/src/channel/lane.rs",
        find: "if lane.lost(side).is_some() {",
        replace: "if lane.lost(side).is_none() {",
        target: "regions",
        test: "channels::who_comes_next_takes_the_places_of_all_the_dead",
    },
    Mutant {
        name: "a new sender shows what a dead one was writing",
        file: "crates/coseg/src/channel/one.rs",
        find: "let position = ring.sent.load(Ordering::Acquire);",
        replace: "let position = ring.sent.load(Ordering::Acquire).wrapping_add(1);",
        target: "killed",
        test: "channels::loan_and_send",
    },
    Mutant {
        name: "a batch ends with the ring",
        file: "crates/coseg/src/channel/one.rs",
        find: "self.sent != self.position",
        replace: "false",
        target: "regions",
        test: "channels::a_batch_has_all_that_are_there_also_beyond_the_end_of_the_ring",
    },
    Mutant {
        name: "what was copied from a queue is received also where another was quicker",
        file: "crates/coseg/src/channel/queue/mod.rs",
        find: "        found.step(self.memory, found.state.freed()).is_some()",
        replace: "        found.step(self.memory, found.state.freed()) != Some(found)",
        target: "--model",
        test: "channel::models::one_sender_and_two_receivers_of_a_queue",
    },
    Mutant {
        name: "what nobody had yet is said to come again",
        file: "crates/coseg/src/channel/ends.rs",
        find: "if had_it && end.way.claim(&lane.geometry, 1).is_some() {",
        replace: "if had_it {",
        target: "regions",
        test: "channels::what_is_sent_after_a_receiver_died_nobody_had_before",
    },
    Mutant {
        name: "no fence before a receiver looks whether a message is whole",
        file: "crates/coseg/src/channel/broadcast.rs",
        find: "        fence(Ordering::Acquire);
        self.stamp(position).load(Ordering::Relaxed)",
        replace: "        self.stamp(position).load(Ordering::Relaxed)",
        target: "--model",
        test: "channel::models::a_broadcast_that_is_overwritten_is_read_whole",
    },
    Mutant {
        name: "a turn keeps a free lock from others for ever",
        file: "crates/coseg/src/lock.rs",
        find: "self.owner() == Owner::NOBODY && self.lapse_turn(company) && self.try_take(me)",
        replace: "self.turn() == Owner::NOBODY && self.lapse_turn(company) && self.try_take(me)",
        target: "regions",
        test: "deaths::the_turn_of_the_dead_and_of_the_stopped_keeps_a_free_lock_from_nobody",
    },
    Mutant {
        name: "a sender who waited for another is not woken",
        file: "crates/coseg/src/channel/ends.rs",
        find: "    unlock_senders(lane);
    lane.ring_own_side();
",
        replace: "    unlock_senders(lane);
",
        target: "regions",
        test: "broadcasts::who_waits_for_another_sender_goes_on_with_him",
    },
    Mutant {
        name: "what expires while it is swapped is damage",
        file: "crates/coseg/src/map/change.rs",
        find: "edit.find(&key).ok().flatten().map(",
        replace: "edit.find(&key).ok().flatten().filter(|found| lives(found.until)).map(",
        target: "maps",
        test: "values::what_expires_meanwhile_is_swapped_or_is_not_there",
    },
    Mutant {
        name: "an endless chain is gone along for each entry",
        file: "crates/coseg/src/map/edit.rs",
        find: "let found = self.find(&HashedKey::new(seed, &bytes))?;",
        replace: "let found = self.find(&HashedKey::new(seed, &bytes)).ok().flatten();",
        target: "hostile",
        test: "maps::a_chain_without_an_end_is_gone_along_once",
    },
    Mutant {
        name: "who sleeps again asks for no barrier of those who ring",
        file: "crates/coseg/src/bell.rs",
        find: "        if !os::barrier_before_sleep() {",
        replace: "        if false {",
        target: "--model",
        test: "models::one_who_sleeps_again_and_again_is_woken",
    },
    Mutant {
        name: "a barrier that is over is taken for known",
        file: "crates/coseg/src/bell.rs",
        find: "counted(seen) & !(FENCED | KNOWN)",
        replace: "counted(seen) & !FENCED",
        target: "--model",
        test: "models::two_who_sleep_again_are_woken",
    },
];
