//! An identity provider that does as it is told: [`Provider`], and the key pairs that it signs with, [`Signer`].

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::seconds_since_epoch;

/// Serves an OpenID configuration and keys on the loopback, and counts who asks. Stops when it is dropped.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    serving: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    answers: HashMap<String, Answer>,
    asked: HashMap<String, usize>,
}

/// What a path is answered with.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Status, further headers and body.
    Say(u16, &'static str, String),
    /// Nothing, for as long as the client waits.
    Silence,
}

/// Where the keys are.
pub const KEYS: &str = "/keys";

impl Provider {
    /// A provider that serves these keys, and is the issuer of its own address.
    pub async fn start(signers: &[&Signer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port of the loopback is free");
        Self::on(listener, signers)
    }

    /// As [`start`](Self::start), where somebody listened before.
    pub async fn start_at(address: SocketAddr, signers: &[&Signer]) -> Self {
        Self::on(TcpListener::bind(address).await.expect("the port is free again"), signers)
    }

    fn on(listener: TcpListener, signers: &[&Signer]) -> Self {
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Mutex::new(Shared::default()));
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        let provider = Self { address, shared, serving };
        let configuration = json!({ "issuer": provider.issuer(), "jwks_uri": provider.url(KEYS) });
        provider.answer("/.well-known/openid-configuration", Answer::json(&configuration));
        provider.publish(signers);
        provider
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its name in tokens.
    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer())
    }

    /// Puts these keys in place of those there were.
    pub fn publish(&self, signers: &[&Signer]) {
        let keys: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
        self.answer(KEYS, Answer::json(&json!({ "keys": keys })));
    }

    /// Has a path answered so from now on.
    pub fn answer(&self, path: &str, answer: Answer) {
        self.shared.lock().answers.insert(path.to_owned(), answer);
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        self.shared.lock().asked.get(path).copied().unwrap_or_default()
    }

    /// A token of this provider's, for an hour unless the claims say otherwise.
    pub fn token(&self, signer: &Signer, claims: Value) -> String {
        let mut all = json!({ "sub": "ada", "iss": self.issuer(), "exp": seconds_since_epoch() + 3_600 });
        let Value::Object(claims) = claims else { panic!("claims are an object, not {claims}") };
        all.as_object_mut().expect("it is one").extend(claims);
        signer.sign(&json!({ "alg": "EdDSA", "kid": signer.kid }), &all)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Answer {
    /// 200 with this body.
    pub fn json(body: &Value) -> Self {
        Self::Say(200, "Content-Type: application/json\r\n", body.to_string())
    }
}

/// An Ed25519 key pair with a name.
#[derive(Debug)]
pub struct Signer {
    kid: String,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// A new pair.
    ///
    /// # Panics
    ///
    /// When the machine has no random numbers.
    pub fn new(kid: &str) -> Self {
        Self { kid: kid.to_owned(), pair: Ed25519KeyPair::generate().expect("random numbers") }
    }

    /// The public key.
    pub fn jwk(&self) -> Value {
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.kid, "x": x })
    }

    /// A token with this header and these claims.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(signed.as_bytes());
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

async fn serve(listener: TcpListener, shared: Arc<Mutex<Shared>>) {
    let mut clients = tokio::task::JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        clients.spawn(answer_one(socket, Arc::clone(&shared)));
    }
}

async fn answer_one(socket: TcpStream, shared: Arc<Mutex<Shared>>) {
    let mut socket = BufReader::new(socket);
    let mut line = String::new();
    let _ = socket.read_line(&mut line).await;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    // The rest of the head says nothing that matters here.
    while socket.read_line(&mut line).await.is_ok_and(|length| length > 2) {}
    let answer = {
        let mut shared = shared.lock();
        *shared.asked.entry(path.clone()).or_default() += 1;
        shared.answers.get(&path).cloned()
    };
    let (status, headers, body) = match answer {
        Some(Answer::Silence) => std::future::pending().await,
        Some(Answer::Say(status, headers, body)) => (status, headers, body),
        None => (404, "", String::new()),
    };
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    let _ = socket.write_all(text.as_bytes()).await;
}
