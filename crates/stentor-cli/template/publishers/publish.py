# Publishes one event with redis-py: pip install redis
import json
import os

import redis

client = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"))
event = {"bot_id": "42", "status": "paused", "healthy": True}
client.publish("bot:42", json.dumps(event))
