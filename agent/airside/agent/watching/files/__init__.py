"""Files that land: on this machine's disks, in buckets, on whatever fsspec reaches.

address  what to look at, read from the URL
listing  what is there now
waking   says at once when something on a local disk changes
watcher  what is new or rewritten, and whole
"""
