from gateway.upstream.balancer cimport Balancer
from gateway.upstream.budget cimport RetryBudget
from gateway.upstream.replica cimport Replica

cdef class UpstreamService:
    cdef public str name
    cdef public object policy, _clock
    cdef public Balancer _balancer
    cdef public RetryBudget _budget
    cdef public Py_ssize_t _uploads, _most_uploads

cdef class Outgoing:
    cdef public bytes body, head
    cdef public object source
    cdef public bint is_head_request, is_safe, is_spent, lacks_host, may_switch, wants_fresh
    cdef public double total_at
    cdef public Replica avoid, replica
    cdef public long retries
