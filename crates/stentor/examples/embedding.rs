//! A service that is its own GraphQL server.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, Mutex},
};

use axum::{Router, routing::get};
use serde::{Deserialize, Serialize};
use stentor::{Call, Config, ResolverError, Stentor, config::environment};
use tokio::net::TcpListener;

const SCHEMA: &str = r#"
    type Query { bots: [Bot!]! @resolver }
    type Mutation { setStatus(id: ID!, status: String!): Bot! @resolver }
    type Subscription { botChanged(id: ID!): Bot! @subscribe(topic: "bot:{{ args.id }}") }
    type Bot { id: ID!  status: String! }
"#;

/// What your service has already; every handler gets a clone.
type Bots = Arc<Mutex<BTreeMap<String, String>>>;

#[derive(Deserialize, Serialize)]
struct Bot {
    id: String,
    status: String,
}

#[derive(Deserialize)]
struct Nothing {}

async fn bots(_: Nothing, call: Call<Bots>) -> Result<Vec<Bot>, ResolverError> {
    let bots = call.state().lock().expect("no handler panics while it holds it");
    Ok(bots.iter().map(|(id, status)| Bot { id: id.clone(), status: status.clone() }).collect())
}

async fn set_status(bot: Bot, call: Call<Bots>) -> Result<Bot, ResolverError> {
    call.state()
        .lock()
        .expect("no handler panics while it holds it")
        .insert(bot.id.clone(), bot.status.clone());
    call.publish(&format!("bot:{}", bot.id), &bot).await?;
    Ok(bot)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = Config::load(None, environment())?;
    let listener = TcpListener::bind(&config.listen).await?;
    let stentor = Stentor::builder()
        .config(config)
        .schema(SCHEMA)
        .state(Bots::default())
        .resolver("Query.bots", bots)
        .resolver("Mutation.setStatus", set_status)
        .build()
        .await?;
    let app = Router::new().route("/", get(async || "your service\n")).nest("/api", stentor.router());
    eprintln!("http://{}/api/graphql", listener.local_addr()?);
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    stentor.serve_router(app, listener, stop).await?;
    Ok(())
}
