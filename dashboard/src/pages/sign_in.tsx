import { useState } from "preact/hooks";
import { Client } from "../api/client";
import { useAction, useTitle } from "../ui/context";
import { Button, Command, Field, Mark, Problem } from "../ui/parts";

export function SignIn({ refused, onKey }: { refused: boolean; onKey(key: string): void }) {
  useTitle("Sign in");
  const [key, setKey] = useState("");
  const [wrong, setWrong] = useState(refused ? "The daemon does not take this key any more. Sign in again." : "");
  const { busy, error, run } = useAction();
  const submit = (event: Event) => {
    event.preventDefault();
    const given = key.trim();
    if (given === "") return setWrong("Type your API key.");
    if (!/^[\x21-\x7e]+$/.test(given)) return setWrong("A key has no spaces and only ASCII characters: this is not one.");
    setWrong("");
    let taken = true;
    const client = new Client(given, () => (taken = false));
    void run("sign-in", async () => {
      try {
        await client.call("/api/v1/cells?limit=1");
      } catch (failure) {
        if (taken) throw failure;
        return setWrong("The daemon does not know this key.");
      }
      onKey(given);
    });
  };
  return (
    <div class="sign-in">
      <Mark />
      <h1>Cellar</h1>
      <p class="lead">A computer of its own for each user of your coding agent.</p>
      <form onSubmit={submit} class="card">
        <Field label="API key" hint="Kept in this tab until you close it or sign out, and sent to this daemon only.">
          {(id, hint) => (
            <input id={id} aria-describedby={hint} type="password" autoComplete="off" autofocus spellcheck={false} value={key}
              aria-invalid={wrong !== ""} onInput={(event) => setKey(event.currentTarget.value)} />
          )}
        </Field>
        {wrong && <p class="problem" role="alert">{wrong}</p>}
        <Problem error={error} />
        <Button kind="primary" submit busy={busy !== null}>Sign in</Button>
      </form>
      <details>
        <summary>Where is my key?</summary>
        <p>The daemon takes the key that it was started with, or shows the one that it made at its first start:</p>
        <Command text="CELLAR_API_KEY=choose-one-yourself cellard" />
      </details>
    </div>
  );
}
