//! Tokens that are checked with a provider's keys: which are let in, and what comes of a provider that rotates its
//! keys, is away, or talks rubbish.

use std::time::Duration;

use serde_json::{Value, json};
use stentor::{Call, Config, Stentor, config::AuthConfig, sign_hs256};
use stentor_tests::{
    Answer, HttpResponse, KEYS, Provider, Served, Signer, TestServer, eventually, request,
    seconds_since_epoch,
};
use tokio::time::{sleep, timeout};

use crate::raw::{Frame, RawSocket};

const SCHEMA: &str = r#"
    type Query { own: String @resolver }
    type Subscription {
        mail: Mail @subscribe(topic: "mail")
        bot(id: ID!): Mail @subscribe(topic: "bot:{{ args.id }}") @hasScope(scope: "view", resource: "bot:{{ args.id }}")
    }
    type Mail { text: String }
"#;

async fn server(change: impl FnOnce(&mut AuthConfig)) -> TestServer {
    let mut auth = AuthConfig::default();
    change(&mut auth);
    let config = Config { auth: Some(auth), ..Config::default() };
    let builder = Stentor::builder().schema(SCHEMA).config(config);
    let builder = builder.resolver("Query.own", async |_: Value, call: Call| {
        Ok(call.principal().and_then(|principal| principal.subject().map(str::to_owned)))
    });
    TestServer::build(builder).await
}

/// A server that finds the keys of `provider` by its issuer.
async fn server_of(provider: &Provider) -> TestServer {
    server(|auth| auth.jwt.issuer = Some(provider.issuer())).await
}

/// How a token fares: 0 and 200 if it is let in, else the code and reason of the close and the HTTP answer.
async fn try_token(server: &TestServer, token: &str) -> (u16, String, HttpResponse) {
    let mut socket = RawSocket::websocket(server.address()).await;
    socket.say(&json!({ "type": "connection_init", "payload": { "token": token } })).await;
    let (code, reason) = match socket.frame().await {
        Frame::Text(text) => (0, text),
        Frame::Close(code, reason) => (code, reason),
        other => panic!("{other:?}"),
    };
    let bearer = format!("Bearer {token}");
    let headers = [("Content-Type", "application/json"), ("Authorization", &*bearer)];
    let answer = request(server.address(), "POST", "/graphql", &headers, r#"{"query":"{ own }"}"#).await;
    (code, reason, answer)
}

async fn assert_let_in(server: &TestServer, token: &str) {
    let (code, reason, answer) = try_token(server, token).await;
    assert_eq!((code, &*reason, answer.status), (0, r#"{"type":"connection_ack"}"#, 200), "{answer:?}");
}

async fn assert_undecided(server: &TestServer, token: &str) {
    let (code, reason, answer) = try_token(server, token).await;
    assert_eq!((code, answer.status), (1013, 503), "{reason} {answer:?}");
    assert!(answer.header("retry-after").is_some_and(|seconds| seconds.parse::<u64>().is_ok()), "{answer:?}");
    assert_eq!(answer.json()["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer:?}");
}

#[tokio::test]
async fn keys_are_found_by_their_issuer_or_at_their_address() {
    let signer = Signer::new("one");
    let provider = Provider::start(&[&signer]).await;
    let by_issuer = server_of(&provider).await;
    let by_url = server(|auth| auth.jwt.jwks_url = Some(provider.url(KEYS))).await;
    for server in [&by_issuer, &by_url] {
        assert_let_in(server, &provider.token(&signer, json!({}))).await;
        assert_eq!(server.metric(r#"stentor_jwks_fetches_total{outcome="ok"}"#).await, 1);
        assert!(server.metric("stentor_jwks_age_seconds").await < 60);
    }
    assert_eq!(provider.asked("/.well-known/openid-configuration"), 1);
    let foreign = provider.token(&signer, json!({ "iss": "https://other.example" }));
    assert_eq!(try_token(&by_issuer, &foreign).await.0, 4403);
    assert_let_in(&by_url, &foreign).await;
}

/// The table of `stentor-auth`, by those rows that matter most, through the whole server.
#[tokio::test]
async fn forged_tokens_are_refused_over_both_ways_in() {
    let (signer, forger) = (Signer::new("one"), Signer::new("one"));
    let provider = Provider::start(&[&signer]).await;
    let server = server(|auth| {
        auth.jwt.issuer = Some(provider.issuer());
        auth.jwt.audience = vec!["stentor".into()];
    })
    .await;
    let now = seconds_since_epoch();
    let claims = json!({ "sub": "ada", "iss": provider.issuer(), "aud": "stentor", "exp": now + 60 });
    let with = |change: Value| {
        let mut claims = claims.clone();
        claims.as_object_mut().expect("claims").extend(change.as_object().expect("a change").clone());
        signer.sign(&json!({ "alg": "EdDSA", "kid": "one" }), &claims)
    };
    let header = |change: Value| {
        let mut header = json!({ "alg": "EdDSA", "kid": "one" });
        header.as_object_mut().expect("a header").extend(change.as_object().expect("a change").clone());
        header
    };
    let x = signer.jwk()["x"].as_str().expect("text").to_owned();
    let good = with(json!({}));
    let unsigned = forger.sign(&header(json!({ "alg": "none" })), &claims);
    let object = claims.as_object().expect("claims").clone();
    let slash = format!("{}/", provider.issuer());
    // Days are told in days: both answers name the same span, however long the machine takes from one to the other.
    let days = 3 * 86_400 + 43_200;
    let rows = [
        ("another key of that name", forger.sign(&header(json!({})), &claims), "signature"),
        ("no signature", unsigned[..=unsigned.rfind('.').expect("dots")].to_owned(), "\"none\""),
        ("alg None", forger.sign(&header(json!({ "alg": "None" })), &claims), "\"None\""),
        ("HS256 with the public key", sign_hs256(&x, &object), "\"HS256\""),
        ("a key in its header", forger.sign(&header(json!({ "jwk": forger.jwk() })), &claims), "signature"),
        (
            "an address in its header",
            forger.sign(&header(json!({ "jku": provider.url("/evil") })), &claims),
            "signature",
        ),
        (
            "a certificate in its header",
            forger.sign(&header(json!({ "x5c": ["AAAA"] })), &claims),
            "signature",
        ),
        (
            "an extension",
            signer.sign(&header(json!({ "crit": ["b64"], "b64": false })), &claims),
            "extension",
        ),
        ("another algorithm than its key", signer.sign(&header(json!({ "alg": "RS256" })), &claims), "RS256"),
        ("cut short", good[..good.len() - 4].to_owned(), "signature"),
        ("padded", format!("{good}=="), "signature"),
        ("another segment", format!("{good}.x"), "JSON Web Token"),
        ("another audience", with(json!({ "aud": ["account"] })), "audience"),
        ("no audience", with(json!({ "aud": [] })), "audience"),
        ("a slash behind the issuer", with(json!({ "iss": slash })), "issued"),
        ("expired", with(json!({ "exp": now - days })), "expired 3 days ago"),
        ("exp is text", with(json!({ "exp": "9999999999" })), "\"exp\""),
        ("exp in milliseconds", with(json!({ "exp": now * 1_000 })), "milliseconds"),
        ("not yet valid", with(json!({ "nbf": now + days })), "only in 3 days"),
    ];
    for (name, token, word) in rows {
        let (code, reason, answer) = try_token(&server, &token).await;
        assert_eq!((code, answer.status), (4403, 401), "{name}: {reason}");
        assert!(reason.contains(word), "{name}: {reason}");
        assert_eq!(answer.json()["errors"][0]["message"], reason, "{name}");
    }
    for claims in [json!({ "iat": now + 60 }), json!({ "aud": ["x", "stentor"] })] {
        assert_let_in(&server, &with(claims)).await;
    }
    assert_let_in(&server, &with(json!({ "exp": seconds_since_epoch() - 1 }))).await;
    assert_eq!((provider.asked(KEYS), provider.asked("/evil")), (1, 0), "no forged token makes anybody ask");
}

/// One server, one provider, and the keys as they come and go.
#[tokio::test]
async fn a_new_key_works_at_once_and_a_withdrawn_one_no_longer() {
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let provider = Provider::start(&[&old]).await;
    let server = server_of(&provider).await;
    let of_old = provider.token(&old, json!({}));
    let mut client = server.client_with(&of_old).await;
    client.listen("1", "subscription { mail { text } }").await;

    // So soon after the last fetch the next has to wait, but it is not forgotten.
    provider.publish(&[&new]);
    let of_new = provider.token(&new, json!({}));
    assert_undecided(&server, &of_new).await;
    after_the_gap(async || provider.asked(KEYS) == 2).await;
    after_the_gap(async || try_token(&server, &of_new).await.0 == 0).await;
    assert_let_in(&server, &of_new).await;

    // Its key is unknown now, and the next fetch has to wait.
    assert_undecided(&server, &of_old).await;
    server.publish("mail", &json!({ "text": "still here" })).await;
    client.expect_data("1", json!({ "mail": { "text": "still here" } })).await;

    // Many who are unknown cause no more fetches than one, after the gap.
    for number in 0..50 {
        let stranger = Signer::new(&format!("stranger-{number}"));
        assert_undecided(&server, &provider.token(&stranger, json!({}))).await;
    }
    assert_eq!(provider.asked(KEYS), 2);
}

#[tokio::test]
async fn a_provider_that_is_away_at_the_start_is_waited_for() {
    let signer = Signer::new("one");
    let provider = Provider::start(&[&signer]).await;
    let (address, token) = (provider.address(), provider.token(&signer, json!({})));
    drop(provider);
    let url = format!("http://{address}");
    let server = server(|auth| auth.jwt.issuer = Some(url)).await;
    assert_undecided(&server, &token).await;
    let forged = Signer::new("one").sign(&json!({ "alg": "none" }), &json!({}));
    assert_eq!(try_token(&server, &forged).await.0, 4403, "what no key could mend is refused");
    assert!(server.metric(r#"stentor_jwks_fetches_total{outcome="unreachable"}"#).await > 0);
    let _provider = Provider::start_at(address, &[&signer]).await;
    eventually("the keys are fetched", async || {
        server.metric(r#"stentor_jwks_fetches_total{outcome="ok"}"#).await > 0
    })
    .await;
    assert_let_in(&server, &token).await;
}

/// Each row: what the provider says instead of its keys, and how that is counted.
#[tokio::test]
async fn no_answer_of_the_provider_takes_keys_away() {
    let (signer, other) = (Signer::new("one"), Signer::new("two"));
    let rows = [
        ("nothing there", Answer::Say(404, "", String::new()), "unreachable"),
        ("broken", Answer::Say(500, "", "oops".into()), "unreachable"),
        ("a page", Answer::Say(200, "", "<html>".into()), "invalid"),
        ("no keys", Answer::json(&json!({ "keys": [] })), "invalid"),
        (
            "a shared secret",
            Answer::json(&json!({ "keys": [{ "kty": "oct", "kid": "two", "k": "AAAA" }] })),
            "invalid",
        ),
        ("far too much", Answer::Say(200, "", " ".repeat(1 << 20)), "invalid"),
        ("elsewhere", Answer::Say(302, "Location: /moved\r\n", String::new()), "invalid"),
        ("silence", Answer::Silence, "unreachable"),
    ];
    let rows = rows.map(|row| {
        let (signer, other) = (&signer, &other);
        async move {
            let (name, answer, outcome) = row;
            let provider = Provider::start(&[signer]).await;
            let server = server_of(&provider).await;
            let good = provider.token(signer, json!({}));
            let mut client = server.client_with(&good).await;
            client.listen("1", "subscription { mail { text } }").await;
            provider.answer("/moved", Answer::json(&json!({ "keys": [other.jwk()] })));
            provider.answer(KEYS, answer);
            assert_undecided(&server, &provider.token(other, json!({}))).await;
            let counted = format!("stentor_jwks_fetches_total{{outcome={outcome:?}}}");
            after_the_gap(async || server.metric(&counted).await > 0).await;
            assert_let_in(&server, &good).await;
            server.publish("mail", &json!({ "text": "still here" })).await;
            client.expect_data("1", json!({ "mail": { "text": "still here" } })).await;
            assert_eq!(provider.asked("/moved"), 0, "{name}");
        }
    });
    futures_util::future::join_all(rows).await;
}

#[tokio::test]
async fn a_provider_that_says_another_name_is_not_trusted() {
    let signer = Signer::new("one");
    let provider = Provider::start(&[&signer]).await;
    for (issuer, keys) in [
        (format!("{}/", provider.issuer()), provider.url(KEYS)),
        ("https://other.example".into(), provider.url(KEYS)),
        (provider.issuer(), "http://id.example/keys".into()),
        (provider.issuer(), "file:///etc/keys".into()),
    ] {
        let configuration = json!({ "issuer": issuer, "jwks_uri": keys });
        provider.answer("/.well-known/openid-configuration", Answer::json(&configuration));
        let server = server_of(&provider).await;
        assert_undecided(&server, &provider.token(&signer, json!({}))).await;
        assert!(server.metric(r#"stentor_jwks_fetches_total{outcome="invalid"}"#).await > 0);
    }
    assert_eq!(provider.asked(KEYS), 0);
}

/// While the provider takes its time, the client that waits for it is told nothing and may do nothing.
#[tokio::test]
async fn nothing_happens_before_it_is_known_who_somebody_is() {
    let signer = Signer::new("one");
    let provider = Provider::start(&[&signer]).await;
    provider.answer(KEYS, Answer::Silence);
    let server = server_of(&provider).await;
    let token = provider.token(&signer, json!({}));
    let init = json!({ "type": "connection_init", "payload": { "token": token } });
    let waiting = async || {
        let mut socket = RawSocket::websocket(server.address()).await;
        socket.say(&init).await;
        socket.say(&json!({ "type": "ping" })).await;
        assert_eq!(socket.message().await, json!({ "type": "pong" }), "no acknowledgement before the keys");
        socket
    };
    let subscribe =
        json!({ "id": "1", "type": "subscribe", "payload": { "query": "subscription { mail { text } }" } });
    for (message, code) in [(&subscribe, 4401), (&init, 4429)] {
        let mut socket = waiting().await;
        socket.say(message).await;
        assert!(matches!(socket.frame().await, Frame::Close(found, _) if found == code), "{message}");
    }
    let mut harmless = waiting().await;
    harmless.say(&json!({ "id": "1", "type": "complete" })).await;
    drop(waiting().await);
    provider.publish(&[&signer]);
    assert!(matches!(harmless.frame().await, Frame::Close(1013, _)), "the fetch that it waited for failed");
    server.expect_metric("stentor_connections", 0).await;
    server.expect_metric("stentor_topics", 0).await;
}

#[tokio::test]
async fn roles_of_the_token_open_fields() {
    let signer = Signer::new("one");
    let provider = Provider::start(&[&signer]).await;
    let server = server(|auth| {
        auth.jwt.issuer = Some(provider.issuer());
        auth.roles = [("trader", "bot:view"), ("dashboard/operator", "bot:42:view")]
            .map(|(role, scope)| (role.to_owned(), vec![scope.to_owned()]))
            .into();
    })
    .await;
    for (claims, allowed) in [
        (json!({ "realm_access": { "roles": ["trader"] } }), true),
        (json!({ "resource_access": { "dashboard": { "roles": ["operator"] } } }), true),
        (json!({ "resource_access": { "other": { "roles": ["operator"] } } }), false),
        (json!({ "realm_access": { "roles": ["operator"] } }), false),
    ] {
        let mut client = server.client_with(&provider.token(&signer, claims.clone())).await;
        client.begin_to_listen("1", json!({ "query": r#"subscription { bot(id: "42") { text } }"# })).await;
        if allowed {
            client.expect_live("1").await;
        } else {
            assert_eq!(client.expect_error("1").await[0]["extensions"]["code"], "FORBIDDEN", "{claims}");
        }
    }
}

/// Asks until it is so. Two fetches that somebody wishes for are 12 s apart, and one may take 5 s to fail.
async fn after_the_gap(fact: impl AsyncFn() -> bool) {
    let asking = async {
        while !fact().await {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(30), asking).await.expect("it is so after the gap");
}
