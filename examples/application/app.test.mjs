// node --test app.test.mjs

import assert from "node:assert/strict";
import { test } from "node:test";

import { ConfigurationError, Database, databaseTls, readConfiguration } from "./app.mjs";

const VARIABLES = {
  DATABASE_HOST: "db.internal",
  REDIS_HOST: "redis.internal",
  DB_PASSWORD: "p1",
  JWT_SECRET: "j2",
  JWT_SECRET_PREVIOUS: "j1",
  REDIS_PASSWORD: "r1",
  SMTP_PASSWORD: "s1",
  APP_CONFIG: JSON.stringify({ ENCRYPTION_KEY: "k1" }),
};

const failing = (code) => Object.assign(new Error("no"), { code });

/** A database whose connections and queries go as told: an error, or what a query returns. */
function database(...outcomes) {
  const seen = { connections: 0 };
  const next = () => {
    const outcome = outcomes.shift();
    if (outcome instanceof Error) throw outcome;
    return outcome;
  };
  const connect = async () => {
    seen.connections += 1;
    return { query: async () => next() };
  };
  return [new Database(connect, { pauseMilliseconds: 0 }), seen];
}

test("variables, JSON keys and previous values are read", () => {
  const found = readConfiguration(VARIABLES);
  assert.deepEqual(found.jwtSecrets, ["j2", "j1"]);
  assert.deepEqual(found.encryptionKeys, ["k1"]);
  assert.equal(found.databaseUser, "postgres");
});

test("everything that is missing is named, no value", () => {
  assert.throws(
    () => readConfiguration({ ...VARIABLES, DB_PASSWORD: "", APP_CONFIG: "not json s3cret" }),
    (error) =>
      error instanceof ConfigurationError &&
      error.message === "missing: APP_CONFIG (a JSON object), DB_PASSWORD, ENCRYPTION_KEY in APP_CONFIG",
  );
});

test("a lost connection is made again", async () => {
  const [db, seen] = database(failing("ECONNRESET"), failing("57P01"), "row");
  assert.equal(await db.run("SELECT 1"), "row");
  assert.equal(seen.connections, 3);
});

test("a refused password makes the task unhealthy at once", async () => {
  const [db, seen] = database(failing("28P01"), "row");
  await assert.rejects(db.run("SELECT 1"), { code: "28P01" });
  assert.equal(db.healthy, false);
  assert.equal(seen.connections, 1);
});

test("a statement's own mistake is not tried again", async () => {
  const [db, seen] = database(failing("42601"), "row");
  await assert.rejects(db.run("SELEC"), { code: "42601" });
  assert.equal(db.healthy, true);
  assert.equal(seen.connections, 1);
});

test("it gives up after its attempts", async () => {
  const [db, seen] = database(...Array(4).fill(failing("ECONNREFUSED")));
  await assert.rejects(db.run("SELECT 1"), { code: "ECONNREFUSED" });
  assert.equal(seen.connections, 4);
});

test("an outage after the first sign-in leaves the task healthy, a refused password does not", async () => {
  const [db] = database("row", failing("ECONNRESET"), failing("28P01"));
  assert.equal(db.healthy, false);
  assert.equal(await db.check(), true);
  assert.equal(await db.check(), true);
  assert.equal(await db.check(), false);
});

test("the authorities of RDS are trusted, and a certificate is always verified", () => {
  const { ca, rejectUnauthorized } = databaseTls({});
  assert.equal(rejectUnauthorized, true);
  assert.ok(ca.at(-1).includes("Amazon RDS eu-central-1 Root CA RSA2048 G1"));
});
