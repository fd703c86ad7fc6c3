//! The rag example in one process: its schema, the functions that answer it, and stand-ins for its services.

mod handlers;
mod services;
mod store;

use std::{error::Error, time::SystemTime};

use axum::{Router, response::Html, routing::get};
use serde_json::json;
use stentor::{Config, Stentor, sign_hs256};
use tokio::net::TcpListener;

use self::store::Store;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whose documents the page shows.
const TENANT: &str = "acme";

/// How long the printed token is good for.
const TOKEN_SECONDS: u64 = 24 * 60 * 60;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/stentor.toml");
    let config = Config::load(Some(path.as_ref()), stentor::config::environment())?;
    let token = token(&config);
    let taken = |error| format!("{}: {error}; stop what listens there, or set STENTOR_LISTEN", config.listen);
    let listener = TcpListener::bind(&config.listen).await.map_err(taken)?;
    let address = listener.local_addr()?;
    let store = Store::default();
    let builder = Stentor::builder().config(config).schema(include_str!("../schema.graphql"));
    let stentor = handlers::mount(builder, store.clone()).build().await?;
    tokio::spawn(services::keep_uploading(stentor.clone(), store, TENANT));
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

/// A token of somebody in the made-up tenant.
fn token(config: &Config) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let auth = config.auth.clone().unwrap_or_default();
    let claims = [
        ("sub", json!("demo")),
        ("aud", json!(auth.jwt.audience)),
        ("exp", json!(now + TOKEN_SECONDS)),
        ("tenant_id", json!(TENANT)),
    ];
    let claims = claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    sign_hs256(auth.jwt.secret.expose(), &claims)
}

#[expect(clippy::print_stdout, reason = "directions for the person at the terminal")]
fn print_directions(address: &str, token: &str) {
    println!(
        "
The document assistant is live on http://{address}/ (open it in a browser: documents arrive at once).

  GraphQL over WebSocket  ws://{address}/graphql
  GraphiQL                http://{address}/graphql
  documents of            {TENANT}

A client says who it is with this token, good for a day, in connectionParams as `authToken`:

{token}

Stop with Ctrl-C."
    );
}
