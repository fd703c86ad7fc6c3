//! The trading example in one process: its schema on the memory broker, and a market that makes events up.

mod market;

use std::{error::Error, time::SystemTime};

use axum::{Router, response::Html, routing::get};
use serde_json::json;
use stentor::{Config, Stentor, sign_hs256};
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the printed token is good for.
const TOKEN_SECONDS: u64 = 24 * 60 * 60;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = configuration()?;
    let token = token(&config);
    let taken = |error| format!("{}: {error}; stop what listens there, or set STENTOR_LISTEN", config.listen);
    let listener = TcpListener::bind(&config.listen).await.map_err(taken)?;
    let address = listener.local_addr()?;
    let stentor = Stentor::builder().config(config).schema(include_str!("../schema.graphql")).build().await?;
    tokio::spawn(market::run(stentor.clone()));
    print_directions(&address.to_string(), &token);

    let page = include_str!("../page.html").replace("{{ token }}", &token);
    let app = Router::new().route("/", get(|| async { Html(page) })).merge(stentor.router());
    let stop = async {
        // Without a signal handler nobody could stop the demo: then it stops at once.
        let _ = tokio::signal::ctrl_c().await;
    };
    stentor.serve_router(app, listener, stop).await?;
    Ok(())
}

/// The example's own configuration, but for the broker: this process is its own publisher.
fn configuration() -> Result<Config, Box<dyn Error>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/stentor.toml");
    let mut config = Config::load(Some(path.as_ref()), stentor::config::environment())?;
    config.broker.url = None;
    Ok(config)
}

/// A token that may see everything of the made-up organisation.
fn token(config: &Config) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let auth = config.auth.clone().unwrap_or_default();
    let claims = [
        ("sub", json!("demo")),
        ("aud", json!(auth.jwt.audience)),
        ("exp", json!(now + TOKEN_SECONDS)),
        ("scope", json!("bot:view backtest:view runner:view org:view")),
    ];
    let claims = claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    sign_hs256(auth.jwt.secret.expose(), &claims)
}

#[expect(clippy::print_stdout, reason = "directions for the person at the terminal")]
fn print_directions(address: &str, token: &str) {
    println!(
        "
Trading is live on http://{address}/ (open it in a browser: events arrive at once).

  GraphiQL                http://{address}/graphql
  GraphQL over WebSocket  ws://{address}/graphql   (and ws://{address}/ws)
  readiness and figures   http://{address}/readyz  http://{address}/metrics
  bots of \"{owner}\"         {bots}

A client says who it is with this token, good for a day, in connectionParams as `authToken`, or in
GraphiQL's headers as `Authorization`:

{token}

Stop with Ctrl-C.",
        owner = market::OWNER,
        bots = market::BOTS.join(", "),
    );
}
