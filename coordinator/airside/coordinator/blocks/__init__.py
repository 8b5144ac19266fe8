"""Blocks on the server: kept on the broker, their secrets sealed with a key that only the coordinators have.

book     what a block is as it is kept, what can go wrong, what others need of the store
sealing  AES-256-GCM over the secrets. Pure
keys     where the key comes from
store    the bucket BLOCKS
desk     changes and reveals that the log tells of
"""
