// How a Node.js application reads what its task gets, and lives through a rotation. The same as app.py.
//
//   node app.mjs --check     tells what is missing; shows no value
//   node app.mjs             serves /healthz on port 3000 (needs `npm install pg`)
//
// A container's variables are set once, when the task starts. A rotation changes the secret, not the running task: ECS has to
// start a new one, which `redeploy` in the stack's configuration does. Until then open connections stay open. With alternating
// users the old password goes on working as well; with a single user a new connection is refused, and this process can't mend
// that: it says so on /healthz, and ECS replaces the task.

import { createServer } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { pathToFileURL } from "node:url";

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

/** One connection that comes back when it was lost, and knows when it can't: `healthy` is false once a sign-in was refused. */
export class Database {
  healthy = true;
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
        this.#connection ??= await this.#connect();
        return await this.#connection.query(sql, parameters);
      } catch (error) {
        const code = /^[0-9A-Z]{5}$/.test(error.code ?? "") ? error.code : "";
        if (WRONG_PASSWORD.has(code)) {
          this.healthy = false;
          throw error;
        }
        // A statement's own mistake has a SQLSTATE; a connection that broke has none, or one of class 08 or 57.
        if ((code && !["08", "57"].includes(code.slice(0, 2))) || attempt === this.#attempts) throw error;
        this.#connection = null;
        await pause(this.#pauseMilliseconds * 2 ** (attempt - 1));
      }
    }
  }
}

/** Answer /healthz: 200, or 503 once the database refuses the password, so that ECS replaces the task. */
export function serve(database, port) {
  return createServer(async (_request, response) => {
    const healthy = await database.run("SELECT 1").then(() => true, () => false);
    response.writeHead(healthy ? 200 : 503).end();
  }).listen(port);
}

async function main() {
  const configuration = readConfiguration(process.env);
  if (process.argv.includes("--check")) {
    console.log("every variable is there");
    return;
  }
  const { default: pg } = await import("pg");
  const connect = async () => {
    const client = new pg.Client({
      host: configuration.databaseHost,
      user: configuration.databaseUser,
      password: configuration.databasePassword,
      ssl: true,
    });
    client.on("error", () => {}); // a connection that breaks while idle: the next query finds out
    await client.connect();
    return client;
  };
  serve(new Database(connect), 3000);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  main().catch((error) => {
    if (!(error instanceof ConfigurationError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  });
}
