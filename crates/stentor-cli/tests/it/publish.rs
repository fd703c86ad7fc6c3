//! `stentor publish` where nothing can be published. That events arrive is proved where there is a Redis.

use crate::program::Folder;

#[test]
fn a_memory_broker_cannot_be_reached_and_it_says_what_to_set() {
    let ran = Folder::new().run(&["publish", "bot:42", "{}"]);
    assert!(ran.failed(1).contains("STENTOR_BROKER__URL"), "{ran:?}");
}

#[test]
fn a_redis_that_is_away_is_named_without_its_password() {
    let folder = Folder::configured("[broker]\nurl = \"redis://:hunter2@127.0.0.1:1/0\"");
    let ran = folder.run(&["publish", "bot:42", "{}"]);
    assert!(ran.failed(1).contains("redis://…@127.0.0.1:1/0"), "{ran:?}");
    assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
}

#[test]
fn json_with_a_mistake_is_refused_with_its_place() {
    let ran = Folder::new().run(&["publish", "bot:42", r#"{"id": "ä" "x": 2}"#]);
    let lines: Vec<&str> = ran.failed(1).lines().collect();
    assert!(lines[0].starts_with("the payload is not JSON: expected `,` or `}` at line 1 column"), "{ran:?}");
    assert_eq!(lines[1..3], [r#"  {"id": "ä" "x": 2}"#, r"             ^"]);
    assert!(lines[3].contains("--text"), "{ran:?}");
}

#[test]
fn the_place_of_a_mistake_in_a_long_payload_is_cut_out() {
    let payload = format!("[{}x]", "1, ".repeat(1_000));
    let ran = Folder::new().run(&["publish", "bot:42", &payload]);
    let lines: Vec<&str> = ran.failed(1).lines().collect();
    assert_eq!(
        lines[1..3],
        [format!("  {}x]", &payload[3_001 - 40..3_001]), format!("  {}^", " ".repeat(40))]
    );
}

#[test]
fn json_behind_white_space_is_refused_because_servers_take_it_for_text() {
    let ran = Folder::new().run(&["publish", "bot:42", " {}"]);
    assert!(ran.failed(1).contains("white space"), "{ran:?}");
}

#[test]
fn a_command_line_that_makes_no_sense_is_exit_code_2_with_the_fix() {
    let cases: &[(&[&str], &str)] = &[
        (&["bot:42"], "the payload is missing"),
        (&["bot:42", "{\"a\":", "1}"], "quotation marks"),
        (&["bot:42", "{}", "--lines"], "--lines reads standard input"),
        (&["--hash", "progress:1", "stage"], "\"stage\" is not FIELD=VALUE"),
        (&["--hash", "progress:1"], "required"),
        (&["", "{}"], "the topic is empty"),
    ];
    for (arguments, fix) in cases {
        let ran = Folder::new().run(&[&["publish"], *arguments].concat());
        assert!(ran.failed(2).contains(fix), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn what_a_terminal_would_obey_is_spelled_out() {
    let ran = Folder::new().run(&["publish", "bot:42", "{\u{9b}2J"]);
    assert!(ran.failed(1).contains(r"\u009b2J"), "{ran:?}");
}
