"""What a document assistant's services do with redis-py: progress in a hash, ids on a channel."""

import sys

import redis

client = redis.Redis(port=int(sys.argv[1]), decode_responses=True)


def update_progress(query_id, stage, progress, message):
    client.hset(
        f"progress:{query_id}",
        mapping={"stage": stage, "progress": progress, "message": message},
    )


def publish_document_update(tenant_id, document_id):
    client.publish(f"documents:{tenant_id}", document_id)


for line in sys.stdin:
    what, *values = line.rstrip("\n").split("\t")
    if what == "progress":
        update_progress(*values)
    else:
        publish_document_update(*values)
    print("done", flush=True)
