// The behaviour that pages add to what works without scripts.
