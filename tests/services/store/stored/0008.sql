-- A database as schema 0008 stored it. Never edit: it stands for what users have.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0008');
CREATE TABLE api_key (
	id TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	name TEXT NOT NULL, 
	secret_sha256 TEXT NOT NULL, 
	scopes TEXT NOT NULL, 
	created_us BIGINT NOT NULL, 
	expires_us BIGINT, 
	revoked BIGINT NOT NULL, 
	limits TEXT NOT NULL, last_used_us BIGINT, old_sha256 TEXT, old_until_us BIGINT, 
	CONSTRAINT pk_api_key PRIMARY KEY (id)
);
INSERT INTO "api_key" VALUES('k','a','n','s','["viewer"]',1,NULL,0,'{}',NULL,NULL,NULL);
CREATE TABLE artifact (
	tenant TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	name TEXT NOT NULL, 
	media_type TEXT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	created_us BIGINT NOT NULL, used_us BIGINT DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_artifact PRIMARY KEY (tenant, digest)
);
INSERT INTO "artifact" VALUES('a','sha256:1','m','t',1,1,1);
CREATE TABLE attempt (
	job_id TEXT NOT NULL, 
	fence BIGINT NOT NULL, 
	number BIGINT NOT NULL, 
	worker TEXT NOT NULL, 
	started_us BIGINT NOT NULL, 
	ended_us BIGINT, 
	outcome TEXT, 
	CONSTRAINT pk_attempt PRIMARY KEY (job_id, fence), 
	CONSTRAINT fk_attempt_job_id_job FOREIGN KEY(job_id) REFERENCES job (id) ON DELETE CASCADE
);
INSERT INTO "attempt" VALUES('job_00000000000000000000000000',1,1,'w1',1800000000000000,1800000000000000,'result');
INSERT INTO "attempt" VALUES('job_00000000000000000000000001',1,1,'w1',1800000000000000,NULL,NULL);
CREATE TABLE audit (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at_us BIGINT NOT NULL, 
	tenant TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	action TEXT NOT NULL, 
	target TEXT NOT NULL, 
	address TEXT NOT NULL, 
	agent TEXT NOT NULL, 
	detail TEXT NOT NULL
);
INSERT INTO "audit" VALUES(1,1800000000000000,'a','k','job.submit','job_00000000000000000000000000','127.0.0.1','curl','{"jobs":1}');
CREATE TABLE counter (
	name TEXT NOT NULL, 
	value BIGINT NOT NULL, 
	CONSTRAINT pk_counter PRIMARY KEY (name)
);
INSERT INTO "counter" VALUES('stale_writes',1);
CREATE TABLE delivery (
	job_id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	tries BIGINT NOT NULL, 
	detail TEXT NOT NULL, 
	at_us BIGINT NOT NULL, tenant TEXT DEFAULT '' NOT NULL, status_code BIGINT, next_try_us BIGINT, 
	CONSTRAINT pk_delivery PRIMARY KEY (job_id), 
	CONSTRAINT fk_delivery_job_id_job FOREIGN KEY(job_id) REFERENCES job (id) ON DELETE CASCADE
);
INSERT INTO "delivery" VALUES('job_00000000000000000000000000','waiting',1,'no answer in time',1800000000000000,'a',500,1800000000000000);
CREATE TABLE delivery_attempt (
	job_id TEXT NOT NULL, 
	number BIGINT NOT NULL, 
	at_us BIGINT NOT NULL, 
	status_code BIGINT, 
	detail TEXT NOT NULL, 
	CONSTRAINT pk_delivery_attempt PRIMARY KEY (job_id, number), 
	CONSTRAINT fk_delivery_attempt_job_id_job FOREIGN KEY(job_id) REFERENCES job (id) ON DELETE CASCADE
);
INSERT INTO "delivery_attempt" VALUES('job_00000000000000000000000000',1,1800000000000000,500,'answered 500');
CREATE TABLE ended_session (
	id TEXT NOT NULL, 
	expires_us BIGINT NOT NULL, 
	CONSTRAINT pk_ended_session PRIMARY KEY (id)
);
INSERT INTO "ended_session" VALUES('s',1900000000000000);
CREATE TABLE event (
	job_id TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	type TEXT NOT NULL, 
	at_us BIGINT NOT NULL, 
	data TEXT NOT NULL, 
	CONSTRAINT pk_event PRIMARY KEY (job_id, seq), 
	CONSTRAINT fk_event_job_id_job FOREIGN KEY(job_id) REFERENCES job (id) ON DELETE CASCADE
);
INSERT INTO "event" VALUES('job_00000000000000000000000000',1,'state',1800000000000000,'{"state":"QUEUED","attempt":0}');
INSERT INTO "event" VALUES('job_00000000000000000000000000',2,'state',1800000000000000,'{"state":"RUNNING","attempt":1}');
INSERT INTO "event" VALUES('job_00000000000000000000000000',3,'incumbent',1800000000000000,'{"elapsed_s":0.1,"objective":2.5}');
INSERT INTO "event" VALUES('job_00000000000000000000000000',4,'state',1800000000000000,'{"state":"SUCCEEDED","attempt":1,"termination":{"reason":"optimal","limit":null}}');
INSERT INTO "event" VALUES('job_00000000000000000000000001',1,'state',1800000000000000,'{"state":"QUEUED","attempt":0}');
INSERT INTO "event" VALUES('job_00000000000000000000000001',2,'state',1800000000000000,'{"state":"RUNNING","attempt":1}');
INSERT INTO "event" VALUES('job_00000000000000000000000002',1,'state',1800000000000000,'{"state":"QUEUED","attempt":0}');
CREATE TABLE idempotency (
	tenant TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	request_digest TEXT NOT NULL, 
	job_ids TEXT NOT NULL, 
	expires_us BIGINT NOT NULL, 
	CONSTRAINT pk_idempotency PRIMARY KEY (tenant, "key")
);
INSERT INTO "idempotency" VALUES('a','kept','d','["job_00000000000000000000000000"]',4800000000000000);
CREATE TABLE job (
	id TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	state TEXT NOT NULL, 
	priority BIGINT NOT NULL, 
	rank BIGINT NOT NULL, 
	seed BIGINT NOT NULL, 
	budget TEXT NOT NULL, 
	labels TEXT NOT NULL, 
	max_attempts BIGINT NOT NULL, 
	webhook TEXT, 
	attempt BIGINT NOT NULL, 
	fence BIGINT NOT NULL, 
	owner TEXT, 
	lease_until_us BIGINT, 
	heartbeat_us BIGINT, 
	run_at_us BIGINT NOT NULL, 
	stop_requested BIGINT NOT NULL, 
	cancel_requested BIGINT NOT NULL, 
	phase TEXT, 
	best TEXT, 
	termination TEXT, 
	created_us BIGINT NOT NULL, 
	started_us BIGINT, 
	finished_us BIGINT, 
	last_seq BIGINT NOT NULL, has_checkpoint BIGINT DEFAULT '0' NOT NULL, waits BIGINT DEFAULT '0' NOT NULL, has_memo BIGINT DEFAULT '0' NOT NULL, graph TEXT, events_cut BIGINT DEFAULT '0' NOT NULL, name TEXT DEFAULT '' NOT NULL, name_key TEXT DEFAULT '' NOT NULL, search_text TEXT DEFAULT '' NOT NULL, objective DOUBLE, gap DOUBLE, 
	CONSTRAINT pk_job PRIMARY KEY (id)
);
INSERT INTO "job" VALUES('job_00000000000000000000000000','a','probe','SUCCEEDED',0,0,7,'{"seconds":60.0}','{"n":"0"}',3,'{"url":"http://h/"}',1,1,NULL,NULL,NULL,1800000000000000,0,0,NULL,'{"elapsed_s":0.1,"objective":2.5}','{"reason":"optimal","limit":null}',1800000000000000,1800000000000000,1800000000000000,4,0,0,0,NULL,0,'','','job_00000000000000000000000000
n=0',2.5,NULL);
INSERT INTO "job" VALUES('job_00000000000000000000000001','a','probe','RUNNING',0,0,7,'{"seconds":60.0}','{}',3,NULL,1,1,'w1',900000000000000,1800000000000000,1800000000000000,0,0,NULL,NULL,NULL,1800000000000000,1800000000000000,NULL,2,1,0,0,NULL,0,'','','job_00000000000000000000000001',NULL,NULL);
INSERT INTO "job" VALUES('job_00000000000000000000000002','a','probe','QUEUED',0,0,7,'{"seconds":60.0}','{}',3,NULL,0,0,NULL,NULL,NULL,1800000000000000,0,0,NULL,NULL,NULL,1800000000000000,NULL,NULL,1,0,0,0,NULL,0,'','','job_00000000000000000000000002',NULL,NULL);
CREATE TABLE job_artifact (
	job_id TEXT NOT NULL, 
	role TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	CONSTRAINT pk_job_artifact PRIMARY KEY (job_id, role, digest), 
	CONSTRAINT fk_job_artifact_job_id_job FOREIGN KEY(job_id) REFERENCES job (id) ON DELETE CASCADE
);
INSERT INTO "job_artifact" VALUES('job_00000000000000000000000000','input','sha256:1','a');
CREATE TABLE job_checkpoint (
	job_id TEXT NOT NULL, 
	fence BIGINT NOT NULL, 
	data BLOB NOT NULL, 
	CONSTRAINT pk_job_checkpoint PRIMARY KEY (job_id), 
	CONSTRAINT fk_job_checkpoint_job_id_job FOREIGN KEY(job_id) REFERENCES job (id) ON DELETE CASCADE
);
INSERT INTO "job_checkpoint" VALUES('job_00000000000000000000000001',1,X'00FF');
CREATE TABLE job_edge (
	parent TEXT NOT NULL, 
	child TEXT NOT NULL, 
	needs_success BIGINT NOT NULL, 
	CONSTRAINT pk_job_edge PRIMARY KEY (parent, child), 
	CONSTRAINT fk_job_edge_parent_job FOREIGN KEY(parent) REFERENCES job (id) ON DELETE CASCADE, 
	CONSTRAINT fk_job_edge_child_job FOREIGN KEY(child) REFERENCES job (id) ON DELETE CASCADE
);
CREATE TABLE job_input (
	job_id TEXT NOT NULL, 
	path TEXT NOT NULL, 
	parent TEXT NOT NULL, 
	output TEXT NOT NULL, 
	digest TEXT, 
	CONSTRAINT pk_job_input PRIMARY KEY (job_id, path), 
	CONSTRAINT fk_job_input_job_id_job FOREIGN KEY(job_id) REFERENCES job (id) ON DELETE CASCADE
);
CREATE TABLE job_label (
	job_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_job_label PRIMARY KEY (job_id, name), 
	CONSTRAINT fk_job_label_job_id_job FOREIGN KEY(job_id) REFERENCES job (id) ON DELETE CASCADE
);
INSERT INTO "job_label" VALUES('job_00000000000000000000000000','n','0');
CREATE TABLE job_memo (
	job_id TEXT NOT NULL, 
	revision BIGINT NOT NULL, 
	digest TEXT NOT NULL, 
	approved TEXT, 
	body TEXT NOT NULL, 
	CONSTRAINT pk_job_memo PRIMARY KEY (job_id), 
	CONSTRAINT fk_job_memo_job_id_job FOREIGN KEY(job_id) REFERENCES job (id) ON DELETE CASCADE
);
CREATE TABLE job_models (
	job_id TEXT NOT NULL, 
	wanted TEXT NOT NULL, 
	models TEXT, 
	CONSTRAINT pk_job_models PRIMARY KEY (job_id), 
	CONSTRAINT fk_job_models_job_id_job FOREIGN KEY(job_id) REFERENCES job (id) ON DELETE CASCADE
);
INSERT INTO "job_models" VALUES('job_00000000000000000000000000','auto','["mdl_1"]');
CREATE TABLE job_result (
	job_id TEXT NOT NULL, 
	result TEXT NOT NULL, 
	CONSTRAINT pk_job_result PRIMARY KEY (job_id), 
	CONSTRAINT fk_job_result_job_id_job FOREIGN KEY(job_id) REFERENCES job (id) ON DELETE CASCADE
);
INSERT INTO "job_result" VALUES('job_00000000000000000000000000','{"objective":1.5}');
CREATE TABLE job_spec (
	job_id TEXT NOT NULL, 
	spec TEXT NOT NULL, 
	CONSTRAINT pk_job_spec PRIMARY KEY (job_id), 
	CONSTRAINT fk_job_spec_job_id_job FOREIGN KEY(job_id) REFERENCES job (id) ON DELETE CASCADE
);
INSERT INTO "job_spec" VALUES('job_00000000000000000000000000','{"steps":1}');
INSERT INTO "job_spec" VALUES('job_00000000000000000000000001','{"steps":1}');
INSERT INTO "job_spec" VALUES('job_00000000000000000000000002','{"steps":1}');
CREATE TABLE model (
	id TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	target TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	created_us BIGINT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	digest TEXT NOT NULL, 
	picture TEXT, 
	state TEXT NOT NULL, 
	card TEXT NOT NULL, 
	CONSTRAINT pk_model PRIMARY KEY (id)
);
INSERT INTO "model" VALUES('mdl_1','a','sharding','job_00000000000000000000000000',1,10,'sha256:1',NULL,'adopted','{"decision":"adopted"}');
CREATE TABLE outbox (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	tenant TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	url TEXT NOT NULL, 
	payload TEXT NOT NULL, 
	tries BIGINT NOT NULL, 
	next_try_us BIGINT NOT NULL
);
INSERT INTO "outbox" VALUES(1,'a','job_00000000000000000000000000','http://h/','{"event":"job.finished","job_id":"job_00000000000000000000000000","kind":"probe","state":"SUCCEEDED","labels":{"n":"0"},"termination":{"reason":"optimal","limit":null},"finished_at":"2027-01-15T08:00:00Z"}',0,1800000000000000);
CREATE TABLE retention (
	tenant TEXT NOT NULL, 
	rule TEXT NOT NULL, 
	updated_us BIGINT NOT NULL, 
	CONSTRAINT pk_retention PRIMARY KEY (tenant)
);
INSERT INTO "retention" VALUES('a','{"job_days":30.0}',1);
CREATE TABLE saved_view (
	tenant TEXT NOT NULL, 
	name TEXT NOT NULL, 
	"query" TEXT NOT NULL, 
	created_us BIGINT NOT NULL, 
	CONSTRAINT pk_saved_view PRIMARY KEY (tenant, name)
);
CREATE TABLE usage (
	tenant TEXT NOT NULL, 
	day BIGINT NOT NULL, 
	kind TEXT NOT NULL, 
	jobs BIGINT NOT NULL, 
	attempts BIGINT NOT NULL, 
	busy_us BIGINT NOT NULL, 
	CONSTRAINT pk_usage PRIMARY KEY (tenant, day, kind)
);
INSERT INTO "usage" VALUES('a',20833,'probe',1,1,0);
CREATE INDEX ix_api_key_tenant ON api_key (tenant);
CREATE INDEX ix_artifact_created_us ON artifact (created_us);
CREATE INDEX ix_artifact_digest ON artifact (digest);
CREATE INDEX ix_idempotency_expires_us ON idempotency (expires_us);
CREATE INDEX ix_job_claim ON job (state, rank, id);
CREATE INDEX ix_job_lease ON job (lease_until_us) WHERE state = 'RUNNING';
CREATE INDEX ix_job_state_id ON job (state, id);
CREATE INDEX ix_job_tenant_id ON job (tenant, id);
CREATE INDEX ix_job_tenant_state_id ON job (tenant, state, id);
CREATE INDEX ix_outbox_next_try_us ON outbox (next_try_us);
CREATE INDEX ix_job_artifact_tenant_digest ON job_artifact (tenant, digest);
CREATE INDEX ix_job_label_name_value_job_id ON job_label (name, value, job_id);
CREATE INDEX ix_job_edge_child ON job_edge (child);
CREATE INDEX ix_job_input_parent ON job_input (parent);
CREATE INDEX ix_job_rest ON job (run_at_us) WHERE state IN ('NEEDS_INPUT', 'AWAITING_APPROVAL');
CREATE INDEX ix_job_graph ON job (graph, id) WHERE graph IS NOT NULL;
CREATE INDEX ix_model_tenant_target_state_id ON model (tenant, target, state, id);
CREATE INDEX ix_model_tenant_digest ON model (tenant, digest);
CREATE INDEX ix_model_tenant_picture ON model (tenant, picture);
CREATE INDEX ix_job_ended ON job (tenant, finished_us, id) WHERE finished_us IS NOT NULL;
CREATE INDEX ix_job_uncut ON job (tenant, finished_us, id) WHERE finished_us IS NOT NULL AND events_cut = 0;
CREATE INDEX ix_artifact_tenant_used_us_digest ON artifact (tenant, used_us, digest);
CREATE INDEX ix_outbox_job_id ON outbox (job_id);
CREATE INDEX ix_delivery_tenant_job_id ON delivery (tenant, job_id);
CREATE INDEX ix_audit_tenant_id ON audit (tenant, id);
CREATE INDEX ix_audit_target_id ON audit (target, id);
CREATE TRIGGER audit_append_only BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit: entries cannot be changed'); END;
CREATE INDEX ix_job_listing ON job (tenant, id, kind, state, created_us, started_us, finished_us, objective, gap, name_key, search_text);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('outbox',1);
INSERT INTO "sqlite_sequence" VALUES('audit',1);
COMMIT;
