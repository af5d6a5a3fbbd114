'use strict';
// HTTP that tries again: what it gives is plain data, so that a journal can hold it.

const { coded, networkRemedy } = require('./errors');
const { Deadline, pause } = require('./timers');

const TIMEOUT_MS = 120_000;
const RETRIES = 2;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

// Seconds or a date.
function askedPauseMs(response) {
  const asked = response?.headers.get('retry-after');
  if (!asked) return undefined;
  const ms = Number.isFinite(Number(asked)) ? Number(asked) * 1000 : Date.parse(asked) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

function pauseMs(attempt, response) {
  const own = FIRST_PAUSE_MS * 2 ** attempt * (0.5 + Math.random());
  return Math.min(LONGEST_PAUSE_MS, askedPauseMs(response) ?? own);
}

function failureOf(url, error) {
  if (error?.code === 'fetch_timeout') return error;
  const cause = error?.cause ? `: ${error.cause.message || error.cause.code}` : '';
  const message = `fetch ${url}: ${error?.message}${cause}${networkRemedy(error?.cause, new URL(url).hostname)}`;
  return coded(error?.cause?.code ?? 'fetch_failed', message);
}

// One attempt: {response, body} or {failure}. Throws what a signal aborted it with.
async function attemptOnce(url, init, timeoutMs, signals) {
  const late = () => coded('fetch_timeout', `fetch ${url}: no answer within ${timeoutMs} ms`);
  const deadline = new Deadline(timeoutMs, () => signals, late);
  const exchange = async () => {
    const response = await fetch(url, { ...init, signal: deadline.signal });
    return { response, body: await response.text() };
  };
  try {
    return await deadline.within(exchange());
  } catch (error) {
    const aborted = signals.find((signal) => signal.aborted);
    if (aborted) throw aborted.reason;
    return { failure: failureOf(url, error) };
  } finally {
    deadline.release();
  }
}

// Headers as an object: those that come several times are joined, Set-Cookie too.
function joined(headers) {
  return Object.fromEntries([...headers.keys()].map((name) => [name, headers.get(name)]));
}

// {status, statusText, headers, body} of the last attempt. A status of 429 or 5xx is tried again,
// and given as it is in the end; only a network error throws.
async function request(url, options, cancelled) {
  const { timeoutMs = TIMEOUT_MS, retries = RETRIES, signal, ...init } = options;
  const signals = signal ? [cancelled, signal] : [cancelled];
  for (let attempt = 0; ; attempt += 1) {
    const { response, body, failure } = await attemptOnce(url, init, timeoutMs, signals);
    const again = failure || response.status === 429 || response.status >= 500;
    if (again && attempt < retries) {
      const deadline = new Deadline(undefined, () => signals);
      await pause(pauseMs(attempt, response), deadline.signal).finally(() => deadline.release());
      continue;
    }
    if (failure) throw failure;
    const { status, statusText, headers } = response;
    return { status, statusText, headers: joined(headers), body };
  }
}

function bodyIdentity(body) {
  if (body === undefined || body === null) return null;
  if (typeof body === 'string' || body instanceof URLSearchParams) return String(body);
  if (body instanceof ArrayBuffer) return Buffer.from(body).toString('base64');
  if (ArrayBuffer.isView(body)) {
    return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('base64');
  }
  return Object.prototype.toString.call(body); // A form or a stream: its kind has to do.
}

// What makes two requests the same, as plain data. Throws for what no request can be made of.
function identity(url, { method = 'GET', headers, body }) {
  return {
    url: new URL(url).href,
    method,
    headers: Object.fromEntries(new Headers(headers)),
    body: bodyIdentity(body),
  };
}

// What agents get: the data with the methods of a Response that they are used to.
function toResponse(data) {
  return {
    ...data,
    ok: data.status >= 200 && data.status < 300,
    text: () => data.body,
    json: () => JSON.parse(data.body),
  };
}

module.exports = { identity, request, toResponse };
