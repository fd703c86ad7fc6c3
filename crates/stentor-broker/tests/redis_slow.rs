//! A server that never answers a ping: whether it counts as lost depends on what else it says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use stentor_broker::{
    Broker, BrokerEvent, RedisBroker, RedisConfig,
    testing::{PATIENCE, RecordingSink},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    select,
    time::interval,
};

/// How long the broker waits for any sign of life after a ping.
const PING_DEADLINE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_server_whose_answer_waits_behind_messages_is_not_lost_until_they_end() {
    let talking = Arc::new(AtomicBool::new(true));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(serve(listener, Arc::clone(&talking)));

    let broker = RedisBroker::connect(&RedisConfig::new(url)).unwrap();
    broker.ready(PATIENCE).await.unwrap();
    let mut heard = RecordingSink::subscribe(&broker, "a");
    heard.expect_subscribed().await;

    let begin = Instant::now();
    while begin.elapsed() < PING_DEADLINE * 2 {
        heard.expect_message("still here").await;
    }
    assert!(broker.state().is_up());

    talking.store(false, Ordering::Relaxed);
    while let Some(event) = heard.next(PATIENCE).await {
        if matches!(event, BrokerEvent::Gap { .. }) {
            server.abort();
            return;
        }
    }
    panic!("a server that says nothing was not given up within {PATIENCE:?}");
}

async fn serve(listener: TcpListener, talking: Arc<AtomicBool>) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        tokio::spawn(converse(socket, Arc::clone(&talking)));
    }
}

/// Just enough of a server: says hello, confirms the topic `a`, sends it messages, and answers no ping of a listener.
async fn converse(mut socket: TcpStream, talking: Arc<AtomicBool>) -> std::io::Result<()> {
    let mut buffer = vec![0; 4096];
    let mut subscribed = false;
    let mut messages = interval(Duration::from_millis(100));
    loop {
        select! {
            length = socket.read(&mut buffer) => {
                let length = length?;
                if length == 0 {
                    return Ok(());
                }
                let commands = String::from_utf8_lossy(&buffer[..length]).into_owned();
                subscribed |= commands.contains("SUBSCRIBE");
                socket.write_all(answer(&commands, subscribed).as_bytes()).await?;
            }
            _ = messages.tick(), if subscribed && talking.load(Ordering::Relaxed) => {
                socket.write_all(b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$10\r\nstill here\r\n").await?;
            }
        }
    }
}

fn answer(commands: &str, listener: bool) -> String {
    let hello = if commands.contains("HELLO") { "%1\r\n+proto\r\n:3\r\n" } else { "" };
    let library = "+OK\r\n".repeat(commands.matches("SETINFO").count());
    let confirmation = ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";
    let subscribed = if commands.contains("SUBSCRIBE") { confirmation } else { "" };
    let pong = if commands.contains("PING") && !listener { "+PONG\r\n" } else { "" };
    format!("{hello}{library}{subscribed}{pong}")
}
