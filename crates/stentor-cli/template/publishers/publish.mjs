// Publishes one event with node-redis: npm install redis
import { createClient } from "redis";

const client = createClient({ url: process.env.REDIS_URL ?? "redis://127.0.0.1:6379" });
await client.connect();
const event = { bot_id: "42", status: "stopped", healthy: false };
await client.publish("bot:42", JSON.stringify(event));
await client.close();
