"""HTTP in the clear, as most tests speak it.

For each client, and for each request without one, httpx reads all certificates of the machine. That takes
35 ms of processor time, often more than the test itself. Nothing here is encrypted, so all requests share one
context without certificates. Tests of TLS use httpx itself.
"""

import ssl
from functools import partial

import httpx

_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

request = partial(httpx.request, verify=_NO_CERTIFICATES)
get = partial(httpx.get, verify=_NO_CERTIFICATES)
post = partial(httpx.post, verify=_NO_CERTIFICATES)
delete = partial(httpx.delete, verify=_NO_CERTIFICATES)
stream = partial(httpx.stream, verify=_NO_CERTIFICATES)
client = partial(httpx.Client, verify=_NO_CERTIFICATES)
async_client = partial(httpx.AsyncClient, verify=_NO_CERTIFICATES)
transport = partial(httpx.HTTPTransport, verify=_NO_CERTIFICATES)
