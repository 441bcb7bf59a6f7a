from gateway.access_log cimport AccessLog
from gateway.admit cimport Admission, Question
from gateway.edge.exchange cimport Exchange
from gateway.forward cimport Forwarder
from gateway.identify cimport Identifier
from gateway.record cimport Record
from servicekit.request_context cimport RequestFacts
