// Names of customers' own for previews.

import type * as api from "./generated.js";
import { segment, type Call, type CallOptions, type Transport } from "./transport.js";

const DOMAINS = "/api/v1/domains";

export class Domains {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** It leads to the cell's preview once it is verified: `dnsInstructions` says by which records. */
  add(domain: string, cellId: string, options: CallOptions = {}): Promise<api.Domain> {
    return this.#transport.json({ method: "POST", path: DOMAINS, json: { domain, cellId }, repeat: "refused", ...options });
  }

  async list(options: CallOptions = {}): Promise<api.Domain[]> {
    const answer = await this.#transport.json<api.ListDomainsAnswer>({
      method: "GET",
      path: DOMAINS,
      repeat: "always",
      ...options,
    });
    return answer.domains;
  }

  get(domain: string, options: CallOptions = {}): Promise<api.Domain> {
    return this.#one("GET", domain, "", options);
  }

  /** Lets it lead to another cell of yours. */
  reassign(domain: string, cellId: string, options: CallOptions = {}): Promise<api.Domain> {
    return this.#one("PATCH", domain, "", { ...options, json: { cellId } });
  }

  remove(domain: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.nothing({ method: "DELETE", path: this.#path(domain), repeat: "always", ...options });
  }

  /** Looks in DNS whether it is yours. */
  verify(domain: string, options: CallOptions = {}): Promise<api.VerifyDomainAnswer> {
    return this.#one("POST", domain, "/verify", options);
  }

  provisionSsl(domain: string, options: CallOptions = {}): Promise<api.ProvisionSslAnswer> {
    return this.#one("POST", domain, "/provision-ssl", options);
  }

  #path(domain: string): string {
    return `${DOMAINS}/${segment("domain", domain)}`;
  }

  #one<T>(method: string, domain: string, rest: string, options: CallOptions & Pick<Call, "json">): Promise<T> {
    return this.#transport.json<T>({ method, path: this.#path(domain) + rest, repeat: "always", ...options });
  }
}
