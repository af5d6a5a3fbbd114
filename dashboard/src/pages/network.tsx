import { useState } from "preact/hooks";
import { Client } from "../api/client";
import type { Network, Policy, Refusal } from "../api/types";
import { bytes, count } from "../model/format";
import { asPolicy, entriesOf, summary } from "../model/policy";
import { useAction, useClient, useNow, useResource } from "../ui/context";
import { Ago, Bounded, Button, Command, Empty, Field, Loading, Panel, Problem } from "../ui/parts";

const POLL_MS = 3000;
const PRESETS = ["npm", "pypi", "debian", "github", "llm"];
const REFUSALS_SHOWN = 20;

export function NetworkTab({ cell }: { cell: string }) {
  const client = useClient();
  const network = useResource((asked) => asked.call<Network>(Client.pathOf(cell, "/network")), cell, POLL_MS);
  const now = useNow(1000);
  const { busy, error, run } = useAction();
  const [edits, setEdits] = useState(false);
  if (network.value === undefined) return network.error ? <Problem error={network.error} retry={network.reload} /> : <Loading what="the network" />;
  const { policy, usage, refusals } = network.value;
  const put = (changed: Policy) => run("put", async () => {
    await client.call(Client.pathOf(cell, "/network"), { method: "PUT", body: changed });
    setEdits(false);
    await network.reload();
  });
  const domains = asPolicy(policy);
  return (
    <>
      <Problem error={network.error ?? error} />
      <div class="panels">
        <Panel title="What it may reach" actions={!edits && <Button kind="quiet" onClick={() => setEdits(true)}>Change</Button>}>
          {edits ? <PolicyForm policy={domains} busy={busy !== null} onSave={put} onClose={() => setEdits(false)} /> : (
            <>
              <p>{summary(policy)}.</p>
              {(["agent", "shell"] as const).map((name) => domains[name] ? <p key={name}>The {name} besides: {summary(domains[name] as Policy)}.</p> : null)}
              <p class="faint">Everything else is refused, and told below. The same from a terminal:</p>
              <Command text={`cellar network ${cell} allow registry.npmjs.org`} />
            </>
          )}
        </Panel>
        <Panel title="What it used">
          <dl class="facts">
            <div><dt>Sent</dt><dd>{bytes(usage.bytes_up)}</dd></div>
            <div><dt>Received</dt><dd>{bytes(usage.bytes_down)}</dd></div>
            <div><dt>Connections</dt><dd>{usage.connections.toLocaleString("en")}, {usage.connections_open} open</dd></div>
            <div><dt>Refused</dt><dd>{usage.refusals.toLocaleString("en")}</dd></div>
            <div><dt>Nobody answered</dt><dd>{usage.failures.toLocaleString("en")}</dd></div>
          </dl>
        </Panel>
      </div>
      <h2>Refusals</h2>
      {refusals.length === 0 ? <Empty title="Nothing was refused since the daemon runs"><p>What the cell tries to reach, and may not, is listed here with what to change.</p></Empty> : (
        <Bounded items={[...refusals].reverse()} step={REFUSALS_SHOWN} what="refusals">
          {(shown) => (
            <ul class="list rows">
              {shown.map((each, index) => (
                <RefusalLine key={`${each.at} ${index}`} refusal={each} now={now} busy={busy !== null}
                  onAllow={each.reason === "not_listed" && each.host !== "*" ? () => put({ ...domains, allow: [...(domains.allow ?? []), each.host] }) : undefined} />
              ))}
            </ul>
          )}
        </Bounded>
      )}
      {refusals.length > 0 && <p class="faint">{count(refusals.length, "refusal")} since the daemon runs, at most the last 100.</p>}
    </>
  );
}

function RefusalLine({ refusal, now, busy, onAllow }: { refusal: Refusal; now: number; busy: boolean; onAllow?: () => void }) {
  return (
    <li>
      <span class="grow">
        <code>{refusal.host}{refusal.port === 53 ? "" : `:${refusal.port}`}</code> <span class="faint">{refusal.domain}, <Ago at={refusal.at} now={now} /></span>
        <br />
        {refusal.reason.replaceAll("_", " ")}{refusal.rule && <> by <code>{refusal.rule}</code></>}{refusal.port === 53 && ", as its name was asked for"}.
        {refusal.remediation && <span class="faint"> {refusal.remediation}</span>}
      </span>
      {onAllow && <Button busy={busy} onClick={onAllow} label={`Allow ${refusal.host}`}>Allow</Button>}
    </li>
  );
}

function PolicyForm({ policy, busy, onSave, onClose }: { policy: Policy; busy: boolean; onSave(policy: Policy): void; onClose(): void }) {
  const [allow, setAllow] = useState((policy.allow ?? []).join("\n"));
  const [deny, setDeny] = useState((policy.deny ?? []).join("\n"));
  const [presets, setPresets] = useState(policy.presets ?? []);
  const submit = (event: Event) => {
    event.preventDefault();
    onSave({ ...policy, allow: entriesOf(allow), deny: entriesOf(deny), presets });
  };
  const flip = (name: string) => setPresets(presets.includes(name) ? presets.filter((each) => each !== name) : [...presets, name]);
  return (
    <form onSubmit={submit}>
      <Field label="Allow" hint="One a line: a name, *.name, an address, address/bits or *, each with :port or without.">
        {(id, hint) => <textarea id={id} aria-describedby={hint} class="mono" rows={4} spellcheck={false} value={allow} onInput={(event) => setAllow(event.currentTarget.value)} />}
      </Field>
      <Field label="Deny, before that">
        {(id) => <textarea id={id} class="mono" rows={2} spellcheck={false} value={deny} onInput={(event) => setDeny(event.currentTarget.value)} />}
      </Field>
      <fieldset>
        <legend>Presets</legend>
        {PRESETS.map((name) => <label key={name} class="check"><input type="checkbox" checked={presets.includes(name)} onChange={() => flip(name)} /> {name}</label>)}
      </fieldset>
      <div class="actions"><Button kind="primary" submit busy={busy}>Save</Button><Button onClick={onClose}>Leave it</Button></div>
    </form>
  );
}
