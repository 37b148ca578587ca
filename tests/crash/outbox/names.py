"""Names of the processes of an application with an outbox."""

SHOP = "shop"
RELAY = "relay"
SECOND_RELAY = "relay-2"
