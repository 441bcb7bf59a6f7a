from gateway.edge.exchange cimport Exchange
