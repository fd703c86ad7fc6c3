//! `stentor init`. That what it writes works is proved where there are clients and publishers.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::json;

use crate::program::Folder;

const FILES: [&str; 8] = [
    "README.md",
    "schema.graphql",
    "stentor.toml",
    "watch.graphql",
    "publishers/publish.sh",
    "publishers/publish.py",
    "publishers/publish.mjs",
    "publishers/publish.go",
];

#[test]
fn it_makes_the_folder_and_writes_every_file_that_it_lists() {
    let folder = Folder::new();
    let written = folder.run(&["init", "new/demo", "--json"]).json();
    assert_eq!(written, json!({ "folder": "new/demo", "files": FILES }));
    for file in FILES {
        assert!(!read(&folder.path().join("new/demo").join(file)).is_empty(), "{file}");
    }
    let script = folder.path().join("new/demo/publishers/publish.sh");
    let mode = script.metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o111, 0o111);
}

#[test]
fn it_says_what_to_do_next() {
    let folder = Folder::new();
    let next = folder.run(&["init", "demo"]);
    for line in ["  cd demo", "  stentor subscribe @watch.graphql", "  publishers/publish.sh"] {
        assert!(next.printed().lines().any(|printed| printed == line), "{line}: {next:?}");
    }
}

#[test]
fn a_file_in_the_way_is_named_and_nothing_is_written() {
    let folder = Folder::configured("mine");
    let ran = folder.run(&["init"]);
    assert!(ran.failed(1).contains("\n  ./stentor.toml\n") && ran.stderr.contains("--force"), "{ran:?}");
    assert_eq!(read(&folder.path().join("stentor.toml")), "mine");
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 1);
}

#[test]
fn force_writes_over_files() {
    let folder = Folder::configured("mine");
    folder.run(&["init", "--force"]).printed();
    assert!(read(&folder.path().join("stentor.toml")).contains("[broker]"));
    folder.run(&["check"]).printed();
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = Folder::configured("a file");
    let ran = folder.run(&["init", "stentor.toml/demo"]);
    assert!(ran.failed(1).starts_with("stentor.toml/demo/README.md cannot be written: "), "{ran:?}");
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
