//! A million ways to be wrong: sockets that send damaged frames and messages, beside a neighbour that must not notice.
//!
//! `STENTOR_MUTATIONS` says how many, `STENTOR_SEED` where to begin. A socket that fails says which two repeat it alone.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use fastrand::Rng;
use serde_json::{Value, json};
use stentor::{Call, Config, Stentor, config::Period};
use stentor_tests::{Served, TestServer, WsClient, auth, token};
use tokio::runtime::Builder;

use crate::{
    damage::{damage_bytes, damaged_frames},
    raw::{Frame, PROTOCOL_HEADER, RawSocket, subscribe, text_frame, upgrade_request},
};

const SCHEMA: &str = r#"
    type Query { hello(name: String = "world", filter: Filter): String! @resolver @public }
    type Mutation { say(text: String!): String @resolver @public }
    type Subscription { tick(topic: ID!): Tick @subscribe(topic: "tick:{{ args.topic }}", where: "event.n >= 0") @public }
    type Tick { n: Int! text: String }
    input Filter { tags: [String!] deep: Filter }
"#;

#[test]
fn damaged_input_ends_in_order_and_disturbs_nobody() {
    let count = number("STENTOR_MUTATIONS").unwrap_or(20_000);
    let seed = number("STENTOR_SEED").unwrap_or(4_000);
    let panics = watch_panics();
    let runtime = Builder::new_multi_thread().worker_threads(2).thread_name(THREADS).enable_all().build();
    let begin = Instant::now();
    let tally = runtime.expect("threads can be started").block_on(run(seed, count));
    eprintln!("{tally:?} from seed {seed} in {:?}", begin.elapsed());
    let panics = panics.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(panics.is_empty(), "the server panicked: {panics:?}");
    let missed = OWN_CODES.iter().find(|code| !tally.closes.contains_key(code));
    assert!(count < 20_000 || missed.is_none(), "nothing was closed with {missed:?}: the damage is too tame");
}

/// What was done, and how it ended.
#[derive(Debug, Default)]
struct Tally {
    mutations: u64,
    sockets: u64,
    /// How many sockets ended with which code; none is 0, and what only echoes a client is 1000.
    closes: BTreeMap<u16, u64>,
}

/// The threads that the server runs on in this test, by which its panics are told from those of other tests.
const THREADS: &str = "mutations";

/// Sockets at one time.
const SOCKETS: u64 = 8;

/// Mutations between two looks at the neighbour, and events that it must have heard then: fewer than its mailbox holds.
const ROUND: u64 = 2_000;
const EVENTS: u64 = 20;

/// The codes that the server closes with because of what a client sends.
const OWN_CODES: [u16; 8] = [1002, 1007, 1009, 4400, 4401, 4403, 4409, 4429];

async fn run(seed: u64, count: u64) -> Tally {
    let server = server().await;
    let token = token(json!({ "sub": "neighbour", "exp": 4_000_000_000_u32 }));
    let mut neighbour = server.client_with(&token).await;
    neighbour.listen("n", r#"subscription { tick(topic: "shared") { n } }"#).await;
    let mut tally = Tally::default();
    let mut events = 0;
    while tally.mutations < count {
        let until = count.min(tally.mutations + ROUND);
        tokio::join!(publish(&server, events), break_things(server.address(), seed, until, &mut tally));
        events = hear(&mut neighbour, events).await;
    }
    neighbour.expect_nothing().await;
    for (name, value) in [("connections", 1), ("operations", 1), ("audiences", 1), ("topics", 1)] {
        server.expect_metric(&format!("stentor_{name}"), value).await;
    }
    tally
}

async fn server() -> TestServer {
    let mut config = Config { auth: Some(auth()), ..Config::default() };
    config.auth.iter_mut().for_each(|auth| auth.anonymous = true);
    config.websocket.ping_interval = Period::hours(1);
    let builder = Stentor::builder()
        .schema(SCHEMA)
        .config(config)
        .resolver("Query.hello", async |arguments: Value, _: Call| Ok(arguments["name"].clone()))
        .resolver("Mutation.say", async |arguments: Value, _: Call| Ok(arguments["text"].clone()));
    TestServer::build(builder).await
}

async fn publish(server: &TestServer, from: u64) {
    for n in from..from + EVENTS {
        server.publish("tick:shared", &json!({ "n": n, "text": "for all" })).await;
        tokio::task::yield_now().await;
    }
}

/// The neighbour has heard every event of the round, each in its place.
async fn hear(neighbour: &mut WsClient, from: u64) -> u64 {
    for n in from..from + EVENTS {
        neighbour.expect_data("n", json!({ "tick": { "n": n } })).await;
    }
    from + EVENTS
}

/// Opens sockets, each with a seed of its own, until so many mutations were sent.
async fn break_things(address: SocketAddr, seed: u64, until: u64, tally: &mut Tally) {
    while tally.mutations < until {
        let first = seed.wrapping_add(tally.sockets);
        let sockets: Vec<_> =
            (0..SOCKETS).map(|n| tokio::spawn(session(address, first.wrapping_add(n)))).collect();
        for socket in sockets {
            let (mutations, code) = socket.await.expect("what the server says is in order");
            tally.mutations += mutations;
            *tally.closes.entry(code.unwrap_or(0)).or_default() += 1;
        }
        tally.sockets += SOCKETS;
    }
}

/// One socket, from its handshake to its end; how many mutations it sent, and the code that it was closed with.
async fn session(address: SocketAddr, seed: u64) -> (u64, Option<u16>) {
    let _told = TellSeed(seed);
    let mut random = Rng::with_seed(seed);
    let mut socket = RawSocket::open(address).await;
    let mut request = upgrade_request("/graphql", PROTOCOL_HEADER).into_bytes();
    let damaged = random.u8(..) < 16;
    if damaged {
        request = damage_bytes(&mut random, request);
    }
    socket.send(&request).await;
    if damaged {
        // An incomplete request would be waited for.
        socket.finish().await;
        if let Some(head) = socket.head().await {
            assert!([101, 200, 400, 404, 405, 415, 426, 431, 505].contains(&head.status), "{head:?}");
        }
        return (1, None);
    }
    let head = socket.head().await;
    assert_eq!(head.map(|head| head.status), Some(101));
    if random.u8(..) < 224 {
        socket.say(&json!({ "type": "connection_init" })).await;
    }
    let (count, readable) = (random.u64(1..=8), random.bool());
    let mut bytes = damaged_frames(&mut random, count, readable);
    if readable {
        bytes.extend(text_frame(&subscribe(LAST, "{ hello }").to_string()));
    }
    for piece in bytes.chunks(random.usize(1..=bytes.len().max(2))) {
        socket.send(piece).await;
    }
    if !readable {
        // The server may wait for the rest of a frame.
        socket.finish().await;
    }
    (count, read_to_end(&mut socket).await)
}

/// Everything that the server says is in order: messages it may send, and one close with a code that clients know.
///
/// A server that could read everything also answers the last query, after which it hears that nothing more comes.
async fn read_to_end(socket: &mut RawSocket) -> Option<u16> {
    loop {
        match socket.frame().await {
            Frame::Text(text) => {
                if is_last(&check_message(&text)) {
                    socket.finish().await;
                }
            }
            Frame::Pong(_) => {}
            Frame::Close(code, reason) => {
                socket.finish().await;
                assert_eq!(socket.frame().await, Frame::End, "nothing follows a close");
                return Some(check_close(code, &reason));
            }
            Frame::Ping(_) => panic!("a ping that nobody needs"),
            Frame::End => return None,
        }
    }
}

/// Whether nothing more will come for the last query.
fn is_last(message: &Value) -> bool {
    message["id"] == LAST && message["type"] == "complete"
}

/// The id of the query that ends what can be read. Damage does not make it by chance.
const LAST: &str = "the last query";

fn check_message(text: &str) -> Value {
    let message: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let kind = message["type"].as_str().unwrap_or_default();
    let known = match kind {
        "connection_ack" | "ping" | "pong" => true,
        "next" => message["id"].is_string() && message["payload"].is_object(),
        "error" => message["id"].is_string() && message["payload"][0]["message"].is_string(),
        "complete" => message["id"].is_string(),
        _ => false,
    };
    assert!(known, "{text}");
    message
}

/// A close of the server's own has a reason, and a code of the protocol or of RFC 6455. The other ones echo the client's.
fn check_close(code: u16, reason: &str) -> u16 {
    assert!(reason.len() <= 123, "{reason}");
    if reason.is_empty() {
        assert!(matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999), "closed with {code}");
        return 1000;
    }
    assert!(OWN_CODES.contains(&code), "closed with {code} {reason}");
    code
}

/// Says how to repeat a socket that fails.
struct TellSeed(u64);

impl Drop for TellSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("STENTOR_SEED={} STENTOR_MUTATIONS=1 repeats this", self.0);
        }
    }
}

/// Collects the panics of the server's threads. The runtime catches them, so that nothing else would show.
fn watch_panics() -> Arc<Mutex<Vec<String>>> {
    let panics = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&panics);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() == Some(THREADS) {
            noted.lock().unwrap_or_else(PoisonError::into_inner).push(panic.to_string());
        }
        before(panic);
    }));
    panics
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}
