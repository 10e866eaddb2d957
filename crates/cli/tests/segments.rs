//! The life of a segment at the command line, on both backends.

mod common;

use common::worlds;

#[test]
fn the_plain_forms_work_as_documented() {
    for world in worlds() {
        let id = world.ok("create --key 0x4242 --size 1024");
        assert!(id.trim().parse::<i32>().is_ok(), "{id}");
        assert_eq!(world.feed("write 0x4242", b"milk, bread").code, 0);
        let bytes = world.ok("read 0x4242");
        assert_eq!(bytes.len(), 1024);
        assert!(bytes.starts_with("milk, bread\0"));
        let listing = world.ok("ls");
        let row = listing.lines().nth(1).unwrap();
        assert!(row.starts_with("0x00004242"), "{listing}");
        assert!(world.ok("stat 0x4242").contains("0600"));
        assert!(world.ok("rm 0x4242").starts_with("removed key 0x00004242"));
        assert_eq!(world.run("stat 0x4242").code, 1);
        assert_eq!(world.json("ls")["segments"].as_array().unwrap().len(), 0);
    }
}

#[test]
fn create_takes_sizes_modes_and_every_kind_of_key() {
    for world in worlds() {
        for (arguments, size, mode, key) in [
            ("--key 0x10 --size 4K", 4096, "0600", 0x10),
            ("--key 5678 --size 27 --mode 660", 27, "0660", 5678),
            ("--key key:-1 --size 1MiB --mode 0644", 1 << 20, "0644", -1),
            ("--private --size 1 --no-reserve", 1, "0600", 0),
        ] {
            let id = world.ok(&format!("create {arguments}"));
            let segment = &world.json(&format!("stat id:{}", id.trim()))["segments"][0];
            assert_eq!(segment["size_bytes"], size, "{arguments}");
            assert_eq!(segment["mode_octal"], mode, "{arguments}");
            assert_eq!(segment["key"], key, "{arguments}");
        }
    }
}

#[test]
fn create_says_when_it_made_nothing() {
    for world in worlds() {
        let first = world.ok("create --key 7 --size 100 --mode 640");
        let again = world.run("create --key 7 --size 50");
        assert_eq!((again.code, again.out), (0, first));
        assert!(again.err.contains("nothing was made") && again.err.contains("0640"), "{}", again.err);
        assert_eq!(world.json("create --key 7 --size 50")["created"], false);
        assert_eq!(world.json("create --key 8 --size 50")["created"], true);

        let exclusive = world.run("create --key 7 --size 50 --exclusive");
        assert_eq!(exclusive.code, 2);
        assert!(exclusive.err.contains("EEXIST") && exclusive.err.contains("Try: "), "{}", exclusive.err);
        let larger = world.run("create --key 7 --size 200");
        assert_eq!(larger.code, 2);
        assert!(larger.err.contains("EINVAL") && larger.err.contains("100 bytes"), "{}", larger.err);
    }
}

#[test]
fn create_reserves_where_the_backend_can() {
    for world in worlds() {
        let outcome = world.run("create --private --size 64K --reserve");
        if world.backend == "user" {
            assert_eq!(outcome.code, 0, "{outcome:?}");
            assert_eq!(world.json("ls")["segments"][0]["resident_bytes"], 64 * 1024);
        } else {
            assert_eq!(outcome.code, 2);
            assert!(outcome.err.contains("--backend user"), "{}", outcome.err);
        }
    }
}

#[test]
fn selectors_name_the_same_segment_in_every_form() {
    for world in worlds() {
        let file = world.directory().parent().unwrap().join(format!("coseg-cli-key-{}", std::process::id()));
        std::fs::write(&file, "").unwrap();
        let ftok = format!("ftok:{}:A", file.display());
        let id = world.ok(&format!("create --key {ftok} --size 10")).trim().to_owned();
        let key_line = world.ok(&format!("key {} A", file.display()));
        let (hexadecimal, decimal) = key_line.trim().split_once(' ').unwrap();
        for selector in [&id, &format!("id:{id}"), hexadecimal, &format!("key:{decimal}"), &ftok] {
            let found = world.json(&format!("stat {selector}"));
            assert_eq!(found["segments"][0]["id"].to_string(), id, "{selector}");
        }
        std::fs::remove_file(file).unwrap();
    }
}

#[test]
fn write_is_all_or_nothing() {
    for world in worlds() {
        world.ok("create --key 1 --size 10");
        assert_eq!(world.feed("write key:1", b"0123456789").code, 0);
        assert_eq!(world.feed("write key:1 --offset 8", b"xy").code, 0);
        let long = world.feed("write key:1 --offset 8", b"ABC");
        assert_eq!(long.code, 2);
        assert!(long.err.contains("3 bytes") && long.err.contains("2 bytes"), "{}", long.err);
        assert!(long.err.contains("nothing was written"), "{}", long.err);
        assert_eq!(world.ok("read key:1"), "01234567xy");
        assert_eq!(world.feed("write key:1 --offset 11", b"").code, 2);
        assert_eq!(world.feed("write key:1 --offset 10", b"").code, 0);
    }
}

#[test]
fn write_measures_a_file_before_it_copies() {
    for world in worlds() {
        world.ok("create --key 1 --size 10");
        let file = world.directory().join("../").join(format!(
            "coseg-cli-input-{}-{}",
            world.backend,
            std::process::id()
        ));
        std::fs::write(&file, "0123456789ABC").unwrap();
        let mut command = world.command("write key:1");
        command.stdin(std::fs::File::open(&file).unwrap());
        let outcome = common::finish(command);
        assert_eq!(outcome.code, 2);
        assert!(outcome.err.contains("13 bytes") && outcome.err.contains("10 bytes"), "{}", outcome.err);
        assert_eq!(world.ok("read key:1"), "\0".repeat(10));
        std::fs::remove_file(file).unwrap();
    }
}

#[test]
fn read_takes_a_part_and_refuses_what_is_not_there() {
    for world in worlds() {
        world.ok("create --key 1 --size 10");
        world.feed("write key:1", b"0123456789");
        assert_eq!(world.ok("read key:1 --offset 2 --length 3"), "234");
        assert_eq!(world.ok("read key:1 --offset 10"), "");
        assert_eq!(world.json("read key:1 --length 2")["bytes_hex"], "3031");
        for line in ["read key:1 --offset 11", "read key:1 --offset 5 --length 6"] {
            let outcome = world.run(line);
            assert_eq!((outcome.code, outcome.out.as_str()), (2, ""), "{line}");
            assert!(outcome.err.contains("ERANGE"), "{}", outcome.err);
        }
    }
}

#[test]
fn large_segments_pass_through_whole() {
    for world in worlds() {
        world.ok("create --key 1 --size 3000001");
        let bytes: Vec<u8> =
            (0..3_000_001_u32).map(|number| b'a' + u8::try_from(number % 26).unwrap()).collect();
        assert_eq!(world.feed("write key:1", &bytes).code, 0);
        assert!(world.ok("read key:1").as_bytes() == bytes, "{}: the bytes differ", world.backend);
    }
}

#[test]
fn chmod_and_chown_change_what_stat_shows() {
    for world in worlds() {
        world.ok("create --key 1 --size 10");
        world.ok("create --key 2 --size 10");
        world.ok("chmod 644 key:1 key:2");
        let all = world.json("ls");
        assert!(all["segments"].as_array().unwrap().iter().all(|segment| segment["mode_octal"] == "0644"));
        // In a private namespace only its owner may own: that is the user backend's own rule.
        let chown = world.run("chown 0:0 key:1");
        assert_eq!(chown.code, 0, "{chown:?}");
        assert_eq!(world.json("stat key:1")["segments"][0]["gid"], 0);
        let partly = world.run("chmod 600 key:1 key:99");
        assert_eq!(partly.code, 1);
        assert_eq!(world.json("stat key:1")["segments"][0]["mode_octal"], "0600");
        assert_eq!(world.run("chmod 1777 key:1").code, 2);
    }
}

#[test]
fn limits_show_use_and_are_set_where_they_can_be() {
    for world in worlds() {
        world.ok("create --key 1 --size 8K");
        let limits = world.json("limits");
        assert_eq!(limits["usage"]["segment_count"], 1);
        assert_eq!(limits["usage"]["largest_segment_bytes"], 8192);
        assert!(limits["limits"]["shmmax_bytes"].as_u64().unwrap() >= 8192);
        let set = world.run("limits --shmmax 1M --shmmni 2");
        if world.backend == "user" {
            assert_eq!(set.code, 0, "{set:?}");
            assert_eq!(world.json("limits")["limits"]["shmmax_bytes"], 1 << 20);
            let large = world.run("create --private --size 2M");
            assert!(large.code == 2 && large.err.contains("shmmax"), "{large:?}");
            world.ok("create --private --size 1");
            let many = world.run("create --private --size 1");
            assert!(many.code == 2 && many.err.contains("shmmni"), "{many:?}");
            assert_eq!(world.json("limits --shmall 100 --rmid-forced 1")["limits"]["rmid_forced"], true);
            assert_eq!(world.json("limits --rmid-forced 0")["limits"]["shmall_pages"], 100);
            assert_eq!(world.json("limits --next-id 7")["limits"]["next_id"], 7);
        } else {
            assert_eq!(set.code, 2);
            let command = "sysctl -w kernel.shmmax=1048576 kernel.shmmni=2";
            assert!(set.err.contains(command), "{}", set.err);
        }
    }
}
