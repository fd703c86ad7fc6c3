//! Valid messages and frames, and every way to damage them: [`damaged_frames`].

use fastrand::Rng;
use serde_json::{Map, Value, json};

use crate::raw::{frame, length_bytes, subscribe};

/// So many frames of a client, as bytes: what is in them is damaged, and unless they are to stay `readable`, they too.
pub(crate) fn damaged_frames(random: &mut Rng, count: u64, readable: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..count {
        let whole = frame_of(random);
        bytes.extend(if readable { whole } else { damage_frame(random, whole) });
    }
    if !readable && random.u8(..) < 32 {
        bytes = damage_bytes(random, bytes);
    }
    bytes
}

/// These bytes with some of them changed, lost, repeated or added.
pub(crate) fn damage_bytes(random: &mut Rng, mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.is_empty() {
        return vec![random.u8(..)];
    }
    let (from, to) = range(random, bytes.len());
    match random.u8(0..6) {
        0 => (0..random.u8(1..=8)).for_each(|_| {
            let place = random.usize(..bytes.len());
            bytes[place] ^= 1 << random.u8(..8);
        }),
        1 => bytes.truncate(from),
        2 => drop(bytes.drain(from..to)),
        3 => {
            let piece = bytes[from..to].to_vec();
            let place = random.usize(..=bytes.len());
            bytes.splice(place..place, piece);
        }
        4 => {
            let noise: Vec<_> = (0..random.u8(1..=16)).map(|_| random.u8(..)).collect();
            bytes.splice(from..from, noise);
        }
        _ => bytes[from..to].reverse(),
    }
    bytes
}

/// A message or a control frame, its content damaged or not, in a frame that is right.
fn frame_of(random: &mut Rng) -> Vec<u8> {
    match random.u8(0..16) {
        0 => frame(0x89, &noise(random, 125)),
        1 => frame(0x8A, &noise(random, 125)),
        2 => frame(0x88, &[&random.u16(900..5_100).to_be_bytes()[..], b"bye"].concat()),
        3 => frame(0x82, &noise(random, 200)),
        4 => {
            let message = content(random);
            fragments(random, &message)
        }
        _ => frame(0x81, &content(random)),
    }
}

fn damage_frame(random: &mut Rng, mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() < 2 {
        return damage_bytes(random, bytes);
    }
    match random.u8(0..16) {
        0 | 1 => damage_bytes(random, bytes),
        2 => {
            bytes[0] = random.u8(..);
            bytes
        }
        3 => {
            bytes[1] = random.u8(..);
            bytes
        }
        4 => lie_about_the_length(random, &bytes),
        5 => bytes.repeat(2),
        6 => {
            let other = frame_of(random);
            let (here, there) = (random.usize(..=bytes.len()), random.usize(..=other.len()));
            [&bytes[..here], &other[there..]].concat()
        }
        7 => {
            // Without the mask, as a server would send it.
            let payload = content(random);
            [&[0x81][..], &length_bytes(payload.len(), 0), &payload].concat()
        }
        _ => bytes,
    }
}

fn lie_about_the_length(random: &mut Rng, bytes: &[u8]) -> Vec<u8> {
    let length = match random.u8(0..4) {
        0 => random.usize(..126),
        1 => random.usize(..0x1_0000),
        2 => random.usize(..1 << 20),
        _ => random.usize(..),
    };
    [&bytes[..1], &length_bytes(length, 0x80), &bytes[2..]].concat()
}

/// The message in several frames, of which not every one need be right.
fn fragments(random: &mut Rng, message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let pieces: Vec<_> = message.chunks(random.usize(1..=64)).collect();
    for (place, piece) in pieces.iter().enumerate() {
        let opcode = if place == 0 { 0x01 } else { 0x00 };
        let last = if place + 1 == pieces.len() { 0x80 } else { 0x00 };
        bytes.extend(frame(opcode | last, piece));
        if random.u8(..) < 16 {
            bytes.extend(frame(0x89, b"between"));
        }
    }
    bytes
}

/// The text of a message, damaged in half of the cases.
fn content(random: &mut Rng) -> Vec<u8> {
    let messages = messages();
    let mut message = random.choice(messages).expect("there are some");
    match random.u8(0..8) {
        0 => return damage_bytes(random, message.to_string().into_bytes()),
        1 | 2 => edit(random, &mut message),
        3 => damage_query(random, &mut message),
        _ => {}
    }
    message.to_string().into_bytes()
}

fn messages() -> Vec<Value> {
    let tick =
        r#"subscription S($topic: ID!) { tick(topic: $topic) { n text ...F } } fragment F on Tick { m: n }"#;
    let variables = json!({ "topic": "shared" });
    vec![
        json!({ "type": "connection_init", "payload": { "token": "no.to.ken" } }),
        json!({ "type": "ping", "payload": { "seq": 7 } }),
        json!({ "type": "pong" }),
        json!({ "id": "1", "type": "complete" }),
        json!({ "id": "2", "type": "complete" }),
        json!({ "id": "1", "type": "subscribe", "payload": { "query": tick, "variables": variables } }),
        json!({ "id": "2", "type": "subscribe", "payload": { "query": tick, "variables": variables, "operationName": "S", "extensions": { "ackId": 1 } } }),
        subscribe("3", r#"subscription { tick(topic: "other") { n @include(if: true) __typename } }"#),
        subscribe(
            "4",
            r#"query Q { a: hello(name: "a", filter: { tags: ["x"], deep: { tags: null } }) hello }"#,
        ),
        subscribe("5", r#"mutation { say(text: """ a "block" """) b: say(text: "\u00e9") }"#),
        subscribe("6", "{ __schema { types { name fields { name type { name ofType { name } } } } } }"),
    ]
}

/// Changes one place in the JSON.
fn edit(random: &mut Rng, message: &mut Value) {
    let mut place = message;
    while random.u8(..) < 200 {
        let children = match &*place {
            Value::Array(items) => items.len(),
            Value::Object(members) => members.len(),
            _ => 0,
        };
        if children == 0 {
            break;
        }
        let child = random.usize(..children);
        place = match place {
            Value::Array(items) => &mut items[child],
            Value::Object(members) => members.values_mut().nth(child).expect("there are as many"),
            _ => unreachable!("it has children"),
        };
    }
    match place {
        Value::Object(members) if random.bool() && !members.is_empty() => edit_members(random, members),
        place => *place = strange_value(random),
    }
}

fn edit_members(random: &mut Rng, members: &mut Map<String, Value>) {
    let name = members.keys().nth(random.usize(..members.len())).expect("there are as many").clone();
    let value = members.shift_remove(&name).expect("it was just seen");
    match random.u8(0..3) {
        0 => {}
        1 => drop(members.insert(format!("{name}{}", random.char(..)), value)),
        _ => drop(members.insert(name, strange_value(random))),
    }
}

fn strange_value(random: &mut Rng) -> Value {
    match random.u8(0..12) {
        0 => Value::Null,
        1 => json!(random.bool()),
        2 => json!(random.i64(..)),
        3 => json!(random.f64() * 1e308),
        4 => json!(""),
        5 => json!("x".repeat(random.usize(..4_096))),
        6 => (0..random.u8(..32)).map(|_| random.char(..)).collect::<String>().into(),
        7 => json!([]),
        8 => json!({ "$serde_json::private::RawValue": "[[[1]]]" }),
        9 => (0..random.u8(..100)).fold(json!(1), |inner, _| json!([inner])),
        10 => (0..random.u8(..100)).fold(json!({}), |inner, _| json!({ "a": inner })),
        _ => json!((0..random.u16(..500)).collect::<Vec<_>>()),
    }
}

/// Loses, repeats and exchanges words of the document.
fn damage_query(random: &mut Rng, message: &mut Value) {
    let Some(query) = message["payload"]["query"].as_str() else { return edit(random, message) };
    let mut words: Vec<_> = query.split_inclusive([' ', '(', ')', '{', '}', ':', '$', '"']).collect();
    let (from, to) = range(random, words.len());
    match random.u8(0..5) {
        0 => drop(words.drain(from..to)),
        1 => {
            let piece = words[from..to].repeat(random.usize(1..40));
            words.splice(from..from, piece);
        }
        2 => words[from..to].reverse(),
        3 => words.insert(from, random.choice(STRANGE_WORDS).expect("there are some")),
        _ => random.shuffle(&mut words),
    }
    message["payload"]["query"] = words.concat().into();
}

const STRANGE_WORDS: [&str; 10] = [
    "@skip(if: $x) ",
    "...",
    "\"\"\"",
    "#",
    "\u{0}",
    "-0.0e",
    "... on Query ",
    "$topic ",
    "\\u{110000}",
    "@x ",
];

fn noise(random: &mut Rng, length: usize) -> Vec<u8> {
    (0..random.usize(..=length)).map(|_| random.u8(..)).collect()
}

/// A range of places that is not empty, within what is not empty.
fn range(random: &mut Rng, length: usize) -> (usize, usize) {
    let from = random.usize(..length);
    (from, random.usize(from + 1..=length))
}
