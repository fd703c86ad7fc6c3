//! A real server to try things on: [`RedisServer`].

use std::{
    fmt,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use redis::{Client, Value, aio::MultiplexedConnection};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{sync::oneshot, time::timeout};

use super::PATIENCE;

/// A `redis-server` of one's own: on a free loopback port, in a temporary folder, without persistence.
///
/// Its process ends when it is dropped, also by a panic.
pub struct RedisServer {
    program: PathBuf,
    port: u16,
    /// Where it speaks TLS, if it does.
    tls_port: Option<u16>,
    folder: TempDir,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts a server and waits until it accepts connections.
    ///
    /// # Panics
    ///
    /// When `redis-server` is not installed, or does not start.
    pub async fn start() -> Self {
        Self::start_program(PROGRAM.into(), false).await
    }

    /// Starts a Valkey server instead.
    ///
    /// # Panics
    ///
    /// When `valkey-server` is not installed, or does not start.
    pub async fn start_valkey() -> Self {
        // Where `make setup` puts it, since not every distribution has one.
        let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/valkey/valkey-server");
        let program = if installed.exists() { installed } else { "valkey-server".into() };
        Self::start_program(program, false).await
    }

    /// Starts a server that speaks TLS too, with a certificate that [`Self::ca_file`] vouches for.
    ///
    /// # Panics
    ///
    /// As [`Self::start`], and when `redis-server` was built without TLS.
    pub async fn start_with_tls() -> Self {
        Self::start_program(PROGRAM.into(), true).await
    }

    async fn start_program(program: PathBuf, tls: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        if tls {
            write_certificates(folder.path());
        }
        let mut server = Self { program, port: 0, tls_port: None, folder, process: None };
        let mut output = String::new();
        // Between the finding of a free port and its use somebody else may take it.
        for _ in 0..ATTEMPTS {
            server.port = free_port();
            server.tls_port = tls.then(free_port);
            match server.launch().await {
                Ok(()) => return server,
                Err(text) => output = text,
            }
        }
        panic!("{} does not start; it says:\n{output}", server.program.display());
    }

    /// The URL at which a broker reaches it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The URL at which a broker reaches it over TLS.
    ///
    /// # Panics
    ///
    /// When it was started without.
    pub fn tls_url(&self) -> String {
        format!("rediss://localhost:{}", self.tls_port.expect("it was started with TLS"))
    }

    /// The certificate of whoever vouches for the server's own.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join(CA)
    }

    /// Stops it where it stands (SIGSTOP): its connections stay open and are answered by nobody.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after [`Self::stop`].
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn cont(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends it without a chance to say goodbye (SIGKILL), and waits for its end. Nothing happens if it does not run.
    ///
    /// # Panics
    ///
    /// When the system does not allow it.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("one's own process can be ended");
            process.wait().expect("one's own process can be waited for");
        }
    }

    /// Starts it anew on the same port, after [`Self::kill`] if it still runs; what it knew is forgotten.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn restart(&mut self) {
        self.kill();
        if let Err(output) = self.launch().await {
            panic!("{self:?} does not start again; it says:\n{output}");
        }
    }

    /// A new connection to it.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub async fn client(&self) -> MultiplexedConnection {
        let client = Client::open(self.url()).expect("the URL is right");
        let connection = client.get_multiplexed_async_connection().await;
        connection.unwrap_or_else(|error| panic!("{self:?} does not answer: {error}"))
    }

    /// Runs one command, given word by word, on a connection of its own.
    ///
    /// # Panics
    ///
    /// When the server does not answer, or answers with an error.
    pub async fn command(&self, words: &[&str]) -> Value {
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(word);
        }
        let answer = command.query_async(&mut self.client().await).await;
        answer.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Runs one command that is answered with text.
    ///
    /// # Panics
    ///
    /// As [`Self::command`], and when the answer is no text.
    pub async fn text(&self, words: &[&str]) -> String {
        redis::from_redis_value(self.command(words).await).expect("the answer is text")
    }

    /// How many connections listen to `channel`.
    ///
    /// # Panics
    ///
    /// As [`Self::command`].
    pub async fn listeners(&self, channel: &str) -> u64 {
        let answer = self.command(&["PUBSUB", "NUMSUB", channel]).await;
        let (_, count): (String, u64) = redis::from_redis_value(answer).expect("a name and a number");
        count
    }

    /// Publishes `payload` as a program of its own would do, and says how many connections it was sent to.
    ///
    /// # Panics
    ///
    /// As [`Self::command`].
    pub async fn publish(&self, channel: &str, payload: &str) -> u64 {
        let answer = self.command(&["PUBLISH", channel, payload]).await;
        redis::from_redis_value(answer).expect("a number")
    }

    /// Starts the process; an error is what it wrote before it ended.
    async fn launch(&mut self) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        if let Some(port) = self.tls_port {
            command.args(["--tls-port", &port.to_string(), "--tls-auth-clients", "no"]);
            for (key, file) in
                [("--tls-ca-cert-file", CA), ("--tls-cert-file", CERTIFICATE), ("--tls-key-file", KEY)]
            {
                command.arg(key).arg(self.folder.path().join(file));
            }
        }
        let mut process = command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .arg("--dir")
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{} cannot be started ({error}); run `make setup`", self.program.display())
            });
        let output = process.stdout.take().expect("it is piped");
        self.process = Some(process);
        match timeout(PATIENCE, read_until_ready(output)).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err("nothing".into()),
            Err(_) => Err(format!("nothing for {PATIENCE:?}")),
        }
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("the server runs");
        kill_process(Pid::from_child(process), signal).expect("one's own process takes signals");
    }
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisServer").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Makes somebody who vouches for a server at this machine's loopback.
fn write_certificates(folder: &Path) {
    let made = "certificates can be made";
    let mut params = CertificateParams::new([]).expect(made);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect(made)).expect(made);
    let key = KeyPair::generate().expect(made);
    let params = CertificateParams::new(["localhost".into(), "127.0.0.1".into()]).expect(made);
    let certificate = params.signed_by(&key, &ca).expect(made);
    let files = [(CA, ca.pem()), (CERTIFICATE, certificate.pem()), (KEY, key.serialize_pem())];
    for (name, pem) in files {
        std::fs::write(folder.join(name), pem).expect("a temporary folder can be written to");
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Tells when the server is ready, or what it wrote before its end. Reads on to the end, for a full pipe would stop it.
fn read_until_ready(output: ChildStdout) -> oneshot::Receiver<Result<(), String>> {
    let (sender, receiver) = oneshot::channel();
    thread::spawn(move || {
        let mut sender = Some(sender);
        let mut text = String::new();
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line.contains(READY) {
                // Nobody waits any more if the test has ended already.
                let _ = sender.take().map(|sender| sender.send(Ok(())));
            } else if sender.is_some() {
                text.push_str(&line);
                text.push('\n');
            }
        }
        let _ = sender.take().map(|sender| sender.send(Err(text)));
    });
    receiver
}

const PROGRAM: &str = "redis-server";
const ATTEMPTS: usize = 5;
const CA: &str = "ca.pem";
const CERTIFICATE: &str = "server.pem";
const KEY: &str = "server.key";

/// What Redis and Valkey write when they accept connections.
const READY: &str = "Ready to accept connections";
