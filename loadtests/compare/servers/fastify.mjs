// @fastify/jwt with its cache of verdicts (the real tokens, EdDSA), @fastify/rate-limit in Redis per user,
// @fastify/http-proxy on undici, and pino's log line for each request. Settings come from the environment.
import { readFileSync } from 'node:fs';
import Fastify from 'fastify';
import jwt from '@fastify/jwt';
import rateLimit from '@fastify/rate-limit';
import proxy from '@fastify/http-proxy';
import Redis from 'ioredis';

const { PORT, UPSTREAM, REDIS_SOCKET, PUBLIC_KEY } = process.env;
const redis = new Redis({ path: REDIS_SOCKET, enableAutoPipelining: true });
const app = Fastify({ logger: { level: 'info' }, disableRequestLogging: true, keepAliveTimeout: 60000 });

await app.register(jwt, {
  secret: { public: readFileSync(PUBLIC_KEY, 'utf8') },
  verify: { algorithms: ['EdDSA'], allowedIss: 'matricula', allowedAud: 'matricula-api', cache: true },
});
await app.register(rateLimit, {
  global: true,
  hook: 'preHandler',
  max: 100000000,
  timeWindow: 60000,
  redis,
  keyGenerator: (request) => request.user.sub,
});
app.addHook('onRequest', async (request, reply) => {
  await request.jwtVerify();
  if (await redis.exists('denylist:sid:' + request.user.sid)) return reply.code(401).send({ title: 'Unauthorized' });
});
app.addHook('onResponse', async (request, reply) => {
  request.log.info({
    method: request.method, path: request.url, status: reply.statusCode, duration_ms: reply.elapsedTime,
    client_ip: request.ip, user: request.user && request.user.sub,
  }, 'request');
});
await app.register(proxy, { upstream: UPSTREAM, undici: { connections: 128, pipelining: 1 } });
await app.listen({ host: '127.0.0.1', port: Number(PORT), backlog: 4096 });
