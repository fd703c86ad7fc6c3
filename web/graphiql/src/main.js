// GraphiQL for the server that this page came from.

import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "./page.css";

import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { parse } from "graphql";
import { createElement } from "react";
import { createRoot } from "react-dom/client";

// The page is served at the address that it asks, wherever a program has mounted it.
const url = new URL(location.pathname, location.href);
const subscriptionUrl = new URL(url);
subscriptionUrl.protocol = url.protocol === "https:" ? "wss:" : "ws:";

// What stands in the headers editor goes into the headers of a request, and into the payload of `connection_init` for a
// subscription. The server passes over an empty token.
const defaultHeaders = JSON.stringify({ Authorization: "" }, null, 2);

const defaultQuery = `# Queries and mutations go over HTTP,
# subscriptions over a WebSocket.
#
# A token goes into the headers below.
# Fetch the schema again afterwards
# (the arrows at the lower left).

{
  __typename
}
`;

const ask = createGraphiQLFetcher({ url: url.href, subscriptionUrl: subscriptionUrl.href, enableIncrementalDelivery: false });

// GraphiQL reads the document a moment after it was written, and would send a subscription over HTTP until then.
const fetcher = (request, options) => ask(request, { ...options, documentAST: read(request.query) });

function read(query) {
  try {
    return parse(query);
  } catch {
    return undefined; // the server says what is wrong with it
  }
}

createRoot(document.getElementById("graphiql")).render(
  createElement(GraphiQL, { fetcher, defaultHeaders, defaultQuery, defaultEditorToolsVisibility: "headers" }),
);
