#!/bin/sh
# Publishes one event with redis-cli.
set -eu

redis-cli -u "${REDIS_URL:-redis://127.0.0.1:6379}" \
  PUBLISH bot:42 '{"bot_id": "42", "status": "running", "healthy": true}'
