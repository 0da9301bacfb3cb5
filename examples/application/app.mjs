// How a Node.js application reads what its task gets, and lives through a rotation. The same as app.py.
//
//   node app.mjs --check     says what is missing; shows no value
//   node app.mjs --connect   signs in to the database once, or says why it can't (needs `npm install pg`)
//   node app.mjs             serves /healthz on port 3000
//   node app.mjs --health    asks /healthz: the command of the container's health check
//
// A container's variables are set once, when the task starts. A rotation changes the secret, not the running task: ECS has to
// start a new one, which `redeploy` in the stack's configuration does. Until then open connections stay open. With alternating
// users the old password goes on working as well; with a single user a new connection is refused, and this process can't mend
// that: it says so on /healthz, and ECS replaces the task.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { rootCertificates } from "node:tls";
import { pathToFileURL } from "node:url";

const PORT = 3000;

/** How long one try to reach the database may take: less than the health check's time-out, 5 s. */
const MILLISECONDS = 3000;

/** Amazon's authorities for RDS and Aurora, which Node does not know; `make certificates` renews them. */
const RDS_ROOTS = new URL("rds-roots.pem", import.meta.url);

/** PostgreSQL's SQLSTATE codes of a refused sign-in. */
const WRONG_PASSWORD = new Set(["28P01", "28000"]);

/** Variables are missing or malformed; the message names them and never holds a value. */
export class ConfigurationError extends Error {}

/**
 * Read the configuration from a task's variables.
 * @param {Record<string, string | undefined>} environment
 * @throws {ConfigurationError} naming everything that is missing
 */
export function readConfiguration(environment) {
  const missing = [];
  let appConfig = {};
  try {
    const parsed = JSON.parse(environment.APP_CONFIG ?? "");
    if (parsed === null || typeof parsed !== "object" || Array.isArray(parsed)) throw new Error("no object");
    appConfig = parsed;
  } catch {
    missing.push("APP_CONFIG (a JSON object)");
  }
  const need = (name, values = environment, where = "") => {
    if (!values[name]) missing.push(name + where);
    return values[name] ?? "";
  };
  // NAME_PREVIOUS is there only once the value was rotated: the first one signs or encrypts, both verify or decrypt.
  const withPrevious = (name, values, where) =>
    [need(name, values, where), values[`${name}_PREVIOUS`]].filter(Boolean);

  const configuration = {
    databaseHost: need("DATABASE_HOST"),
    // Alternating users: the name changes with each rotation, so it comes from the same secret as the password.
    databaseUser: environment.DB_USER ?? "postgres",
    databasePassword: need("DB_PASSWORD"),
    redisHost: need("REDIS_HOST"),
    redisPassword: need("REDIS_PASSWORD"),
    smtpPassword: need("SMTP_PASSWORD"),
    jwtSecrets: withPrevious("JWT_SECRET", environment),
    encryptionKeys: withPrevious("ENCRYPTION_KEY", appConfig, " in APP_CONFIG"),
  };
  if (missing.length) throw new ConfigurationError(`missing: ${missing.join(", ")}`);
  return Object.freeze(configuration);
}

/**
 * Return TLS that verifies the database's certificate and its host name. `ssl: true` of pg knows no authority of RDS.
 * DATABASE_CA_BUNDLE names a file with other authorities. By default Node's are trusted (RDS Proxy) and those of RDS.
 * @param {Record<string, string | undefined>} environment
 */
export function databaseTls(environment) {
  const bundle = environment.DATABASE_CA_BUNDLE;
  return {
    ca: bundle ? readFileSync(bundle, "utf8") : [...rootCertificates, readFileSync(RDS_ROOTS, "utf8")],
    rejectUnauthorized: true, // also where NODE_TLS_REJECT_UNAUTHORIZED says otherwise
  };
}

/**
 * One connection that comes back when it was lost, and knows when it can't.
 *
 * `healthy` tells whether this task is of use: true from the first sign-in on, false once one was refused, since only a new task
 * has the new password. An outage of the database changes nothing: new tasks would not help.
 */
export class Database {
  healthy = false;
  #connection = null;
  #connect;
  #attempts;
  #pauseMilliseconds;

  /** @param {() => Promise<{query: (sql: string, parameters?: unknown[]) => Promise<unknown>}>} connect */
  constructor(connect, { attempts = 4, pauseMilliseconds = 500 } = {}) {
    this.#connect = connect;
    this.#attempts = attempts;
    this.#pauseMilliseconds = pauseMilliseconds;
  }

  /** Run one statement; a lost connection is made again. Only for statements that may be run twice. */
  async run(sql, parameters) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#once(sql, parameters);
      } catch (error) {
        if (!isLost(error) || attempt === this.#attempts) throw error;
        await pause(this.#pauseMilliseconds * 2 ** (attempt - 1));
      }
    }
  }

  /** Try the database once and tell whether this task is of use. */
  async check() {
    await this.#once("SELECT 1").catch(() => {});
    return this.healthy;
  }

  /** Run one statement. The connection is kept, unless it broke: a next attempt has a chance then. */
  async #once(sql, parameters) {
    try {
      if (this.#connection === null) {
        this.#connection = await this.#connect();
        this.healthy = true;
      }
      return await this.#connection.query(sql, parameters);
    } catch (error) {
      if (WRONG_PASSWORD.has(sqlState(error))) this.healthy = false;
      if (isLost(error)) this.#connection = null;
      throw error;
    }
  }
}

/** PostgreSQL's error code; errors of Node have longer ones. */
function sqlState(error) {
  return /^[0-9A-Z]{5}$/.test(error.code ?? "") ? error.code : "";
}

/** Whether a connection broke, so that another one may work. A statement's own mistake has a code of another class. */
function isLost(error) {
  const code = sqlState(error);
  return !code || ["08", "57"].includes(code.slice(0, 2));
}

/** Answer /healthz: 200, or 503 while the database has never let this task in or refuses its password. */
export function serve(database, port) {
  return createServer(async (_request, response) => {
    response.writeHead((await database.check()) ? 200 : 503).end();
  }).listen(port);
}

async function main() {
  if (process.argv.includes("--health")) {
    const answer = await fetch(`http://127.0.0.1:${PORT}/healthz`, { signal: AbortSignal.timeout(MILLISECONDS + 1000) });
    if (!answer.ok) throw new Error(`/healthz answers ${answer.status}`);
    return;
  }
  const configuration = readConfiguration(process.env);
  if (process.argv.includes("--check")) {
    console.log("every variable is there");
    return;
  }
  const { default: pg } = await import("pg");
  const ssl = databaseTls(process.env);
  const connect = async () => {
    const client = new pg.Client({
      host: configuration.databaseHost,
      port: Number(process.env.DATABASE_PORT ?? 5432),
      database: process.env.DATABASE_NAME, // by default the user's name
      user: configuration.databaseUser,
      password: configuration.databasePassword,
      ssl,
      connectionTimeoutMillis: MILLISECONDS,
      query_timeout: MILLISECONDS,
    });
    client.on("error", () => {}); // a connection that breaks while idle: the next query finds out
    await client.connect();
    return client;
  };
  if (process.argv.includes("--connect")) {
    await (await connect()).end();
    console.log("the database lets this task in");
    return;
  }
  serve(new Database(connect), PORT);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  main().catch((error) => {
    console.error([error.message, error.code].filter(Boolean).join(": "));
    process.exitCode = 1;
  });
}
