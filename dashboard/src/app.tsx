// The frame around all pages: who is signed in, where they are, and the keys of the keyboard.
import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import { Client } from "./api/client";
import { parseRoute, type Route } from "./model/route";
import { CellPage } from "./pages/cell";
import { CellsPage } from "./pages/cells";
import { SignIn } from "./pages/sign_in";
import { ClientContext } from "./ui/context";
import { Button, Empty, Mark } from "./ui/parts";
import { useShortcuts, Shortcuts } from "./ui/shortcuts";

// Of this tab only, and gone with it.
const KEY = "cellar.key";

function useRoute(): Route {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const changed = () => setHash(location.hash);
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return useMemo(() => parseRoute(hash), [hash]);
}

export function App() {
  const [key, setKey] = useState(sessionStorage.getItem(KEY));
  const [refused, setRefused] = useState(false);
  const [helps, setHelps] = useState(false);
  const route = useRoute();
  const leave = useCallback((wasRefused: boolean) => {
    sessionStorage.removeItem(KEY);
    setRefused(wasRefused);
    setKey(null);
  }, []);
  const client = useMemo(() => (key === null ? null : new Client(key, () => leave(true))), [key, leave]);
  useShortcuts({ "?": () => setHelps(true), "g c": () => (location.hash = "#/cells") });

  // A page that is new is read from its beginning.
  const page = route.page === "cell" ? `${route.cell}/${route.tab}` : route.page;
  useEffect(() => {
    scrollTo(0, 0);
    setHelps(false);
  }, [page]);

  const enter = (given: string) => {
    sessionStorage.setItem(KEY, given);
    setRefused(false);
    setKey(given);
  };
  const skip = (event: Event) => {
    event.preventDefault();
    document.getElementById("content")?.focus();
  };
  return (
    <>
      <a class="skip" href="#content" onClick={skip}>Skip to the content</a>
      <header class="top">
        <a class="brand" href="#/cells" aria-label="Cellar, all cells">
          <Mark />
          Cellar
        </a>
        <nav aria-label="Everywhere">
          {client && <a href="#/cells" aria-current={route.page === "cells" ? "page" : undefined}>Cells</a>}
          <a href="/openapi.json" target="_blank" rel="noopener">API</a>
          <Button kind="quiet" onClick={() => setHelps(true)} label="Shortcuts of the keyboard"><kbd>?</kbd></Button>
          {client && <Button kind="quiet" onClick={() => leave(false)}>Sign out</Button>}
        </nav>
      </header>
      <main id="content" tabIndex={-1}>
        {client === null ? (
          <SignIn refused={refused} onKey={enter} />
        ) : (
          <ClientContext.Provider value={client}>
            <Page route={route} />
          </ClientContext.Provider>
        )}
      </main>
      {helps && <Shortcuts onClose={() => setHelps(false)} />}
    </>
  );
}

function Page({ route }: { route: Route }) {
  if (route.page === "cells") return <CellsPage />;
  if (route.page === "cell") return <CellPage key={route.cell} cell={route.cell} tab={route.tab} rest={route.rest} line={route.line} view={route.view} />;
  return (
    <Empty title="There is no such page">
      <p><code>{route.hash}</code> leads nowhere. <a href="#/cells">All cells</a></p>
    </Empty>
  );
}
