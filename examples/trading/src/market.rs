//! Made-up events in the shapes that the monitors send: [`run`].

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use stentor::{PublishError, Stentor};
use tokio::time::interval;

/// The organisation that everything belongs to.
pub(crate) const OWNER: &str = "org_12345";

/// Its bots.
pub(crate) const BOTS: [&str; 3] = ["42", "43", "44"];

const BACKTEST: &str = "7";
const RUNNER: &str = "eu-1";
const PAIRS: [&str; 4] = ["BTC/USDT", "ETH/USDT", "SOL/USDT", "ADA/USDT"];
const TICK: Duration = Duration::from_millis(250);

/// Publishes one event after another, for ever.
pub(crate) async fn run(stentor: Stentor) {
    let mut market = Market { turn: 0, bots: 0, backtest: 0.0, download: 0.0, trades: 0, alerts: 0 };
    let mut ticks = interval(TICK);
    loop {
        ticks.tick().await;
        // The memory broker takes every event.
        let _ = market.publish_one(&stentor).await;
    }
}

/// What has to go on from one event to the next.
struct Market {
    /// Every kind of event has its turns, so that whoever watches anything sees something soon.
    turn: usize,
    /// Likewise every bot.
    bots: usize,
    backtest: f64,
    download: f64,
    trades: u64,
    alerts: u64,
}

impl Market {
    async fn publish_one(&mut self, stentor: &Stentor) -> Result<(), PublishError> {
        self.turn += 1;
        match self.turn % 10 {
            0 | 3 | 6 => {
                let bot = self.bot();
                let event = bot_status(bot);
                stentor.publish(&format!("bot:{bot}"), &event).await?;
                stentor.publish(&format!("org:bots:{OWNER}"), &event).await
            }
            1 | 4 | 7 | 9 => {
                let bot = self.bot();
                let event = self.trade(bot);
                stentor.publish(&format!("trade:{bot}"), &event).await?;
                stentor.publish(&format!("org:trades:{OWNER}"), &event).await
            }
            2 => stentor.publish(&format!("backtest:{BACKTEST}"), &self.backtest()).await,
            5 => {
                let event = self.runner();
                stentor.publish(&format!("runner:{RUNNER}"), &event).await?;
                stentor.publish(&format!("org:runners:{OWNER}"), &event).await
            }
            _ => stentor.publish(&format!("alert:{OWNER}"), &self.alert()).await,
        }
    }

    fn bot(&mut self) -> &'static str {
        self.bots += 1;
        BOTS[self.bots % BOTS.len()]
    }

    fn trade(&mut self, bot: &str) -> Value {
        self.trades += 1;
        let open = fastrand::bool();
        json!({
            "type": "trade_updated",
            "trade_id": self.trades.to_string(),
            "bot_id": bot,
            "pair": one_of(&PAIRS),
            "side": one_of(&["long", "short"]),
            "status": if open { "open" } else { "closed" },
            "profit_pct": (!open).then(|| (fastrand::f64() * 10.0 - 4.0).round()),
            "timestamp": now(),
        })
    }

    fn backtest(&mut self) -> Value {
        self.backtest = if self.backtest >= 1.0 { 0.0 } else { (self.backtest + 0.1).min(1.0) };
        json!({
            "type": "backtest_progress",
            "backtest_id": BACKTEST,
            "strategy_id": "mean-reversion",
            "status": if self.backtest >= 1.0 { "completed" } else { "running" },
            "progress": self.backtest,
            "timestamp": now(),
        })
    }

    fn runner(&mut self) -> Value {
        self.download = if self.download >= 100.0 { 0.0 } else { self.download + 20.0 };
        json!({
            "type": "runner_progress",
            "runner_id": RUNNER,
            "status": "downloading",
            "progress": self.download,
            "current_phase": one_of(&["candles", "trades"]),
            "timestamp": now(),
        })
    }

    fn alert(&mut self) -> Value {
        self.alerts += 1;
        let bot = one_of(&BOTS);
        json!({
            "type": "alert_created",
            "alert_id": self.alerts.to_string(),
            "rule_id": "drawdown",
            "owner_id": OWNER,
            "alert_type": "profit",
            "severity": one_of(&["info", "warning", "critical"]),
            "title": format!("Bot {bot} loses"),
            "description": format!("Bot {bot} lost more than its rule allows."),
            "timestamp": now(),
        })
    }
}

fn bot_status(bot: &str) -> Value {
    let healthy = fastrand::u8(..5) > 0;
    json!({
        "type": "bot_status",
        "bot_id": bot,
        "status": if healthy { one_of(&["running", "stopped", "starting"]) } else { "error" },
        "healthy": healthy,
        "error": (!healthy).then_some("the exchange does not answer"),
        "timestamp": now(),
    })
}

fn one_of<'a>(choices: &[&'a str]) -> &'a str {
    fastrand::choice(choices).copied().unwrap_or_default()
}

fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}
