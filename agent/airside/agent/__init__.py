"""The outbound-only side: it watches what lives outside (`watching`) and carries runs out (`working`)."""
