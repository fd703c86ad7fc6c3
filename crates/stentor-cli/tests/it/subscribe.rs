//! `stentor subscribe` without a server. What it shows of one is proved where there are servers.

use crate::program::Folder;

const QUERY: &str = "subscription { tick }";

#[test]
fn a_command_line_that_makes_no_sense_is_exit_code_2_with_the_fix() {
    let cases: &[(&[&str], &str)] = &[
        (&[QUERY, "--url", "http://127.0.0.1:1/"], "must begin with ws:// or wss://"),
        (&[QUERY, "--variables", "[1]"], "not a JSON object"),
        (&[QUERY, "--variables", "{id: 42}"], "not JSON"),
        (&[QUERY, "--count", "0"], "0"),
        (&[QUERY, "--timeout", "30"], "needs one of the units"),
        (&[QUERY, "--retries", "1", "--no-reconnect"], "cannot be used with"),
        (&[" "], "the document is empty"),
    ];
    for (arguments, fix) in cases {
        let ran = Folder::new().run(&[&["subscribe"], *arguments].concat());
        assert!(ran.failed(2).contains(fix), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn a_server_that_is_not_there_is_told_at_once_with_what_to_look_at() {
    let ran = Folder::new().run(&["subscribe", QUERY, "--url", "ws://127.0.0.1:1/graphql"]);
    let message = ran.failed(1);
    assert!(message.starts_with("ws://127.0.0.1:1/graphql is not reached: "), "{ran:?}");
    assert!(message.ends_with("\nis `stentor serve` running, and is --url its address?\n"), "{ran:?}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let ran = Folder::new().run(&["subscribe", "@watch.graphql"]);
    assert!(ran.failed(1).starts_with("watch.graphql cannot be read: "), "{ran:?}");
}
