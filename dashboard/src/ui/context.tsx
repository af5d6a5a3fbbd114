import { createContext } from "preact";
import { useCallback, useContext, useEffect, useRef, useState } from "preact/hooks";
import { Client } from "../api/client";

export const ClientContext = createContext<Client>(null as unknown as Client);
export const useClient = () => useContext(ClientContext);

export interface Resource<T> { value: T | undefined; error: unknown; reload(): Promise<void> }

/** Asks once, when `key` changes, when told to, and each `everyMs` while somebody sees the page. */
export function useResource<T>(load: (client: Client) => Promise<T>, key: string, everyMs = 0): Resource<T> {
  const client = useClient();
  const [state, setState] = useState<{ key: string; value?: T; error?: unknown }>({ key });
  const newest = useRef(0);
  const loader = useRef(load);
  loader.current = load;
  const reload = useCallback(async () => {
    const turn = ++newest.current;
    try {
      const value = await loader.current(client);
      if (turn === newest.current) setState({ key, value });
    } catch (error) {
      if (turn === newest.current) setState((before) => ({ key, value: before.key === key ? before.value : undefined, error }));
    }
  }, [client, key]);
  useEffect(() => {
    void reload();
    if (everyMs === 0) return () => void newest.current++;
    const ask = () => document.hidden || void reload();
    const timer = setInterval(ask, everyMs);
    document.addEventListener("visibilitychange", ask);
    return () => {
      newest.current++;
      clearInterval(timer);
      document.removeEventListener("visibilitychange", ask);
    };
  }, [reload, everyMs]);
  return { value: state.key === key ? state.value : undefined, error: state.key === key ? state.error : undefined, reload };
}

/** The time, told anew each `everyMs`; not at all for 0. */
export function useNow(everyMs = 1000): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (everyMs === 0) return;
    const timer = setInterval(() => document.hidden || setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Cellar`;
  }, [title]);
}

/** An action that a button begins: one at a time, and its error. */
export function useAction(): { busy: string | null; error: unknown; run(name: string, action: () => Promise<unknown>): Promise<boolean>; clear(): void } {
  const [busy, setBusy] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const running = useRef(false);
  const run = useCallback(async (name: string, action: () => Promise<unknown>) => {
    if (running.current) return false;
    running.current = true;
    setBusy(name);
    setError(null);
    try {
      await action();
      return true;
    } catch (failure) {
      setError(failure);
      return false;
    } finally {
      running.current = false;
      setBusy(null);
    }
  }, []);
  return { busy, error, run, clear: () => setError(null) };
}
