// HS256 JSON Web Tokens, made by hand so that no library's idea of a token stands between client and server.

import { createHmac } from "node:crypto";
import { secretOf } from "./server.js";

/** A token of the audience that the examples expect, good for a minute, with `claims` on top. */
export function token(claims = {}, { example = "trading", secret = secretOf(example) } = {}) {
  const inAMinute = Math.floor(Date.now() / 1000) + 60;
  const body = { sub: "interop", aud: "stentor", exp: inAMinute, ...claims };
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(body)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

function encode(value) {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
