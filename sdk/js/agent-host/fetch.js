'use strict';
// HTTP that tries again: what it gives is plain data, so that a journal can hold it.

const TIMEOUT_MS = 120_000;
const RETRIES = 2;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
const RETRIED = new Set([408, 425, 429, 500, 502, 503, 504]);

function pauseOf(attempt, response) {
  const asked = Number(response?.headers.get('retry-after'));
  const own = FIRST_PAUSE_MS * 2 ** attempt * (0.5 + Math.random());
  return Math.min(LONGEST_PAUSE_MS, Number.isFinite(asked) && asked > 0 ? asked * 1000 : own);
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}

// {status, statusText, headers, body} of the last attempt. A status of 429 or 5xx is tried again,
// and given as it is in the end; only a network error throws.
async function request(url, options, cancelled) {
  const { timeoutMs = TIMEOUT_MS, retries = RETRIES, signal, ...init } = options;
  for (let attempt = 0; ; attempt += 1) {
    let response;
    let body;
    let failure;
    try {
      const signals = [AbortSignal.timeout(timeoutMs), cancelled];
      const any = new AbortController();
      for (const one of signals) {
        one.addEventListener('abort', () => any.abort(one.reason), { once: true });
      }
      if (cancelled.aborted) throw cancelled.reason;
      response = await fetch(url, { ...init, signal: any.signal });
      body = await response.text();
    } catch (error) {
      if (cancelled.aborted) throw cancelled.reason;
      const cause = error.cause ? `: ${error.cause.message || error.cause.code}` : '';
      failure = Object.assign(new Error(`fetch ${url}: ${error.message}${cause}`),
        { code: error.cause?.code ?? error.code ?? 'fetch_failed' });
    }
    if (attempt < retries && (failure || RETRIED.has(response.status))) {
      await pause(pauseOf(attempt, response), cancelled);
      continue;
    }
    if (failure) throw failure;
    const { status, statusText, headers } = response;
    return { status, statusText, headers: Object.fromEntries(headers), body };
  }
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

module.exports = { request, toResponse };
